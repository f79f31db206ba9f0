//! The environment variables that collectors may read.

use std::collections::BTreeMap;

use crate::Variable;

/// Environment variables, as they were when the run began.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The value of a variable. One that is set to nothing counts as unset, as in generated manifests.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }
}

impl Environment {
    /// The variables that are declared.
    #[must_use]
    pub fn restricted_to(&self, declared: &[Variable]) -> Self {
        let is_declared = |name: &String| declared.iter().any(|variable| variable.name == name);
        let variables = self.0.iter().filter(|(name, _)| is_declared(name));
        Self(variables.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_to_nothing_is_unset() {
        let environment = Environment::from_iter([("A", "1"), ("B", ""), ("C", " \n")]);
        let values = ["A", "B", "C", "D"].map(|name| environment.get(name));
        assert_eq!(values, [Some("1"), None, None, None]);
    }
}

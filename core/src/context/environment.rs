//! The environment variables that collectors may read.

use std::collections::BTreeMap;

use super::undeclared::Undeclared;
use crate::Variable;

/// Environment variables, as they were when the run began.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// The variables that are declared, and where it is noted that another one was asked for; `None` allows
    /// all.
    declared: Option<(&'static [Variable], Undeclared)>,
}

impl Environment {
    /// The value of a variable. One that is set to nothing counts as unset, as in generated manifests.
    pub fn get(&self, name: &str) -> Option<&str> {
        if let Some((declared, undeclared)) = &self.declared
            && !declared.iter().any(|variable| variable.name == name)
        {
            undeclared.note(format!("the variable `{name}`"));
            return None;
        }
        self.values.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// The same with these values.
    #[must_use]
    pub fn with_all(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.values.extend(variables);
        self
    }

    /// The same, of which only the declared variables are seen.
    pub(super) fn restricted_to(&self, declared: &'static [Variable], undeclared: &Undeclared) -> Self {
        Self { declared: Some((declared, undeclared.clone())), ..self.clone() }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let values = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { values, declared: None }
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

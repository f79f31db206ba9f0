//! Takes the place of the library of this name: the Kubernetes client links it for one thing, the paths by
//! which a kubeconfig's `auth-provider` finds a token in the output of a command, and with it come a parser
//! generator and a regular expression engine, about half a megabyte of program.
//!
//! Those paths name members, `{.credential.access_token}`, and the client hands them over as
//! `$.credential.access_token`. Anything else is an error that says so. `[patch.crates-io]` in the
//! workspace's manifest puts this crate in; a build without that takes the library itself.

use serde_json::Value;

/// What the client calls.
pub trait JsonPath: Sized {
    /// The value at a path of members, if there is one.
    fn query(&self, path: &str) -> Result<Vec<&Self>, Unsupported>;
}

/// The path has more in it than members.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("only paths of members are supported, such as `$.credential.access_token`: `{0}`")]
pub struct Unsupported(String);

impl JsonPath for Value {
    fn query(&self, path: &str) -> Result<Vec<&Self>, Unsupported> {
        let unsupported = || Unsupported(path.to_owned());
        let members = path.strip_prefix("$.").ok_or_else(unsupported)?;
        if members.split('.').any(str::is_empty) || members.contains(['[', ']', '*', '?', '@', '(', ')']) {
            return Err(unsupported());
        }
        let found = members.split('.').try_fold(self, |value, member| value.get(member));
        Ok(found.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_found_and_anything_else_is_refused() {
        let output = json!({"credential": {"access_token": "secret", "names": ["a"]}});
        let query = |path: &str| output.query(path);
        assert_eq!(query("$.credential.access_token"), Ok(vec![&json!("secret")]));
        assert_eq!(query("$.credential.token_expiry"), Ok(vec![]));
        for path in ["credential", "$", "$.", "$..access_token", "$.credential.names[0]", "$.credential.*"] {
            assert_eq!(query(path), Err(Unsupported(path.to_owned())));
        }
    }
}

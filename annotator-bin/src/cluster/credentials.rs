//! What went wrong with credentials, told without any of them: no output of a plugin, no command line, no
//! picture of what a parser read.

use std::panic::{UnwindSafe, catch_unwind};

use http::HeaderValue;
use kube::Error;
use kube::client::AuthError;

/// What the library makes of the credentials in a configuration. It panics on a token with characters that no
/// header may have, such as the end of a line.
pub(super) fn without_panic<T>(make: impl FnOnce() -> Result<T, Error> + UnwindSafe) -> Result<T, Error> {
    catch_unwind(make).unwrap_or_else(|_| {
        Err(Error::Auth(AuthError::InvalidBearerToken(
            HeaderValue::from_bytes(b"\n").expect_err("the end of a line"),
        )))
    })
}

/// The cause of a failure of the client library's authentication.
pub(super) fn told(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecStart(error) => format!("the credential plugin cannot be started: {error}"),
        AuthError::AuthExecRun { out, .. } => format!("the credential plugin failed with {}", out.status),
        AuthError::AuthExecParse(_) | AuthError::ParseTokenKey(_) => {
            "what the credential plugin printed is no ExecCredential".to_owned()
        }
        AuthError::ExecPluginFailed => {
            "what the credential plugin printed has no `status` with a token or a certificate".to_owned()
        }
        AuthError::MalformedTokenExpirationDate(_) => {
            "the credential plugin gives an `expirationTimestamp` that is no time".to_owned()
        }
        AuthError::AuthExec(_) => "the credential plugin gave no token".to_owned(),
        AuthError::ReadTokenFile(error, path) => {
            format!("the token file `{}` cannot be used: {error}", path.display())
        }
        AuthError::InvalidBasicAuth(_) | AuthError::InvalidBearerToken(_) => {
            "the token has characters that no token has".to_owned()
        }
        AuthError::MissingCommand => "the kubeconfig names no command for its credential plugin".to_owned(),
        AuthError::UnrefreshableTokenResponse => {
            "the credential plugin gave a token first, and something else later".to_owned()
        }
        AuthError::ExecMissingClusterInfo => {
            "the credential plugin wants to know the cluster, and the kubeconfig does not say".to_owned()
        }
        // What the library may add one day is not known to be free of credentials.
        _ => "they cannot be read".to_owned(),
    }
}

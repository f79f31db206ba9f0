//! The causes in a client library's error.

use std::error::Error;
use std::io;
use std::iter::successors;

use hyper_util::client::legacy;
use kube::Error as ClientError;

use super::Reason;

/// What kind of trouble it is, for everything but an answer of the API server.
pub(super) fn reason(error: &ClientError) -> Reason {
    match error {
        ClientError::Auth(_) => return Reason::NoCredentials,
        ClientError::SerdeError(_) | ClientError::FromUtf8(_) => return Reason::Foreign,
        _ => {}
    }
    if let Some(error) = find(error).next() {
        return match error {
            rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_) => Reason::Untrusted,
            _ => Reason::Foreign,
        };
    }
    if timed_out(error) {
        return Reason::Silent;
    }
    if find(error).any(hyper::Error::is_parse) {
        return Reason::Foreign;
    }
    if is_connecting(error) {
        return Reason::Unreachable;
    }
    // A connection that breaks before the answer is the client's error, one that breaks within the answer
    // hyper's.
    let broken =
        find::<legacy::Error>(error).next().is_some() || find::<hyper::Error>(error).next().is_some();
    if broken { Reason::Broken } else { Reason::Other }
}

/// The innermost cause. The causes around it are layers of the client library.
pub(super) fn innermost(error: &ClientError) -> String {
    match (timed_out(error), is_connecting(error)) {
        (true, true) => "connecting timed out".to_owned(),
        (true, false) => "connected, but no answer in time".to_owned(),
        (false, _) => causes(error).last().map(ToString::to_string).unwrap_or_default(),
    }
}

fn timed_out(error: &ClientError) -> bool {
    find(error).any(|error: &io::Error| error.kind() == io::ErrorKind::TimedOut)
}

fn is_connecting(error: &ClientError) -> bool {
    find(error).any(legacy::Error::is_connect)
}

/// The error and all that is wrapped in it. An `io::Error` does not list what it wraps among its sources.
fn causes(error: &ClientError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    fn next<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        let wrapped = (*error).downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|error| error as _).or_else(|| (*error).source())
    }
    successors(Some(error as &(dyn Error + 'static)), next)
}

fn find<T: Error + 'static>(error: &ClientError) -> impl Iterator<Item = &T> {
    causes(error).filter_map(|cause| cause.downcast_ref())
}

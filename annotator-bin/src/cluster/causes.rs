//! The causes in a client library's error.

use std::error::Error;
use std::io;
use std::iter::successors;

use http_body_util::LengthLimitError;
use hyper_util::client::legacy;
use kube::Error as ClientError;
use kube::client::AuthError;

use super::{Reason, answers, credentials, tls};

/// What kind of trouble it is, and its cause, for everything but an answer of the API server.
pub(super) fn told(error: &ClientError) -> (Reason, String) {
    if let ClientError::Auth(error) = error {
        return (Reason::NoCredentials, credentials::told(error));
    }
    // A token file is read for each request, in a layer of ours.
    if let Some(error) = find::<AuthError>(error).next() {
        return (Reason::NoCredentials, credentials::told(error));
    }
    if let ClientError::SerdeError(_) | ClientError::FromUtf8(_) = error {
        return (Reason::Foreign, last(error));
    }
    if let Some(error) = find(error).next() {
        return tls::handshake(error);
    }
    if timed_out(error) {
        let what =
            if is_connecting(error) { "connecting timed out" } else { "connected, but no answer in time" };
        return (Reason::Silent, what.to_owned());
    }
    if find::<LengthLimitError>(error).next().is_some() {
        return (Reason::TooLong, format!("more than {} MiB", answers::MAX_BYTES >> 20));
    }
    if find(error).any(hyper::Error::is_parse) {
        return (Reason::Foreign, last(error));
    }
    if is_connecting(error) {
        return (Reason::Unreachable, last(error));
    }
    // A connection that breaks before the answer is the client's error, one that breaks within the answer
    // hyper's.
    let broken =
        find::<legacy::Error>(error).next().is_some() || find::<hyper::Error>(error).next().is_some();
    (if broken { Reason::Broken } else { Reason::Other }, last(error))
}

/// The innermost cause. The causes around it are layers of the client library.
fn last(error: &ClientError) -> String {
    let text = causes(error).last().map(ToString::to_string).unwrap_or_default();
    // The TLS library ends with a link to its documentation, which tells programmers what to do.
    text.split_once(": https://").map_or(text.as_str(), |(text, _)| text).to_owned()
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

//! Asking DigitalOcean's metadata service.
//!
//! The body of its answer holds secrets, so that only the needed fields are decoded and nothing of it is ever
//! quoted. A machine that is not a Droplet is not asked: the firmware tells who the machine is.

mod metadata;

use node_annotator_core::context::{HttpError, HttpRequest, HttpResponse};
use node_annotator_core::{CollectError, Context, Variable};

pub(crate) use self::metadata::{Interface, Malformed, Metadata, Odd};
use super::dmi::Evidence;

/// The variable with the address of the document.
pub(crate) const URL: Variable = Variable::operator(
    "DIGITAL_OCEAN_METADATA_URL",
    "http:// address of the metadata document; set, the node is taken for a Droplet whatever its firmware says",
);

const DEFAULT_URL: &str = "http://169.254.169.254/metadata/v1.json";

/// What is looked at before the service is asked, and the service.
pub(crate) const SOURCES: [&str; 2] = ["/sys/class/dmi/id/sys_vendor", DEFAULT_URL];
const VENDOR: &str = "DigitalOcean";

/// More than a document can have: user data and vendor data of 64 KiB each, every byte of them escaped in
/// JSON.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What asking came to.
pub(crate) enum Answer {
    Droplet(Box<Metadata>),
    /// The machine is not asked, and why.
    NotApplicable(String),
}

/// Asks, if the operator or the firmware says that there is somebody to ask.
pub(crate) async fn ask(cx: &Context) -> Result<Answer, CollectError> {
    if let Some(url) = cx.environment.get(URL.name) {
        return get(cx, url).await;
    }
    match Evidence::of_vendor(cx, VENDOR).await {
        Evidence::Yes => get(cx, DEFAULT_URL).await,
        Evidence::No(vendor) => {
            Ok(Answer::NotApplicable(format!("not a Droplet: the firmware names `{vendor}`")))
        }
        Evidence::None => Ok(Answer::NotApplicable(format!(
            "nothing says that this is a Droplet; set `{}` to ask all the same",
            URL.name
        ))),
    }
}

/// Asks a service that must be there.
async fn get(cx: &Context, url: &str) -> Result<Answer, CollectError> {
    let request = HttpRequest { max_body_bytes: MAX_BODY_BYTES, ..HttpRequest::get(url.trim()) };
    let HttpResponse { status, body } = cx.http.send(request).await.map_err(no_answer)?;
    match status {
        200 => Metadata::decode(&body).map(|metadata| Answer::Droplet(Box::new(metadata))).map_err(malformed),
        429 | 500..=599 => Err(refused(status).retryable()),
        _ => Err(refused(status).with_hint(somebody_else()).malformed()),
    }
}

/// The failure of a document that is none of a Droplet.
pub(crate) fn malformed(malformed: Malformed) -> CollectError {
    CollectError::new("the answer is not the JSON of the metadata service").because(malformed).malformed()
}

fn no_answer(error: HttpError) -> CollectError {
    let failure = CollectError::new("cannot ask the metadata service of DigitalOcean");
    let failure = if error.is_retryable() { failure.retryable() } else { failure };
    let failure = match error {
        HttpError::Address { .. } => {
            failure.with_hint(format!("set `{}` to an address such as {DEFAULT_URL}, or unset it", URL.name))
        }
        HttpError::TooLong { .. } => failure.with_hint(somebody_else()),
        _ => failure.with_hint(
            "a NetworkPolicy or the network plugin may keep pods from link-local addresses: \
             allow egress to 169.254.169.254, or run with the host network",
        ),
    };
    failure.because(error)
}

fn refused(status: u16) -> CollectError {
    CollectError::new(format!("the metadata service of DigitalOcean answered with status {status}"))
}

fn somebody_else() -> String {
    format!("is something else answering in its place, or is `{}` wrong?", URL.name)
}

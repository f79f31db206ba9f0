//! `digital-ocean-anchor-ip`: the anchor address of a Droplet, to which traffic for its reserved IP is delivered.
//!
//! Asks the metadata service. The body of its answer holds secrets, so that only the needed fields are decoded and nothing of
//! it is ever quoted. A machine that is not a Droplet is not asked: the firmware tells who the machine is.

mod metadata;

use std::time::Duration;

use node_annotator_core::context::{HttpError, HttpRequest, HttpResponse};
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Kind, Need, Stability, Topic, Variable,
    register,
};

use crate::source::dmi::Evidence;

const ANCHOR_IP: Fact = Fact::primary(
    "anchor IPv4 address of the first public interface, where traffic for the reserved IP arrives",
    "10.17.0.9",
    Stability::Immutable,
)
.unique();
const GATEWAY: Fact =
    Fact::named("gateway", "IPv4 gateway of the anchor address", "10.17.0.1", Stability::Immutable);
const NETMASK: Fact =
    Fact::named("netmask", "IPv4 netmask of the anchor address, dotted", "255.255.0.0", Stability::Immutable);
const DROPLET_ID: Fact =
    Fact::named("droplet-id", "number of the Droplet, decimal", "289794365", Stability::Immutable)
        .kind(Kind::Number)
        .unique();
const REGION: Fact = Fact::named("region", "region slug", "nyc3", Stability::Immutable);
const RESERVED_IP: Fact = Fact::named(
    "reserved-ip",
    "reserved (floating) IPv4 address, if one was assigned when the collector ran",
    "203.0.113.25",
    Stability::Dynamic,
)
.unique();

/// The collector.
pub static DIGITAL_OCEAN_ANCHOR_IP: Collector = Collector::new(
    "digital-ocean-anchor-ip",
    Topic::Cloud,
    "Anchor IP of a DigitalOcean Droplet, and what else its metadata service tells about its network",
    &[ANCHOR_IP, GATEWAY, NETMASK, DROPLET_ID, REGION, RESERVED_IP],
    Collect::Async(|cx| Box::pin(collect(cx))),
)
.needs(&[Need::MetadataService])
.variables(&[Variable::operator(
    URL_VARIABLE,
    "http:// address of the metadata document; set, the node is taken for a Droplet whatever its firmware says",
)])
.timeout(Duration::from_secs(15));

register!(DIGITAL_OCEAN_ANCHOR_IP);

const URL_VARIABLE: &str = "DIGITAL_OCEAN_METADATA_URL";
const DEFAULT_URL: &str = "http://169.254.169.254/metadata/v1.json";
const VENDOR: &str = "DigitalOcean";

async fn collect(cx: &Context) -> Result<Collected, CollectError> {
    if let Some(url) = cx.environment.get(URL_VARIABLE) {
        return ask(cx, url).await;
    }
    match Evidence::of_vendor(cx, VENDOR).await {
        Evidence::Yes => ask(cx, DEFAULT_URL).await,
        Evidence::No(vendor) => {
            Ok(Collected::not_applicable(format!("not a Droplet: the firmware names `{vendor}`")))
        }
        Evidence::None => Ok(Collected::not_applicable(format!(
            "nothing says that this is a Droplet; set `{URL_VARIABLE}` to ask all the same"
        ))),
    }
}

/// Asks a service that must be there.
async fn ask(cx: &Context, url: &str) -> Result<Collected, CollectError> {
    let HttpResponse { status, body } =
        cx.http.send(HttpRequest::get(url.trim())).await.map_err(no_answer)?;
    match status {
        200 => metadata::parse(&body).map_err(|malformed| {
            CollectError::new("the answer is not the JSON of the metadata service").because(malformed)
        }),
        429 | 500..=599 => Err(refused(status).retryable()),
        _ => Err(refused(status)
            .with_hint(format!("is something else answering in its place, or is `{URL_VARIABLE}` wrong?"))),
    }
}

fn no_answer(error: HttpError) -> CollectError {
    let failure = CollectError::new("cannot ask the metadata service of DigitalOcean");
    let failure = if error.is_retryable() { failure.retryable() } else { failure };
    let failure = match error {
        HttpError::Address { .. } => failure
            .with_hint(format!("set `{URL_VARIABLE}` to an address such as {DEFAULT_URL}, or unset it")),
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

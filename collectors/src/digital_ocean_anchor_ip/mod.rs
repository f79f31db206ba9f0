//! `digital-ocean-anchor-ip`: the anchor address of a Droplet, to which traffic for its reserved IP is delivered.
//!
//! Asks the metadata service. The body of its answer holds secrets, so that only the needed fields are decoded and nothing of
//! it is ever quoted. A machine that is not a Droplet is not asked: the firmware tells who the machine is.

mod metadata;

use std::time::Duration;

use node_annotator_core::context::{HttpError, HttpRequest, HttpResponse};
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Enabled, Fact, Need, Stability, Variable, register,
};

use crate::cloud::Machine;

/// The collector.
pub static DIGITAL_OCEAN_ANCHOR_IP: Collector = Collector {
    name: "digital-ocean-anchor-ip",
    summary: "Anchor IP of a DigitalOcean Droplet, and what else its metadata service tells about its network",
    facts: &[
        Fact::primary(
            "anchor IPv4 address of the first public interface, where traffic for the reserved IP arrives",
            "10.17.0.9",
            Stability::Immutable,
        ),
        Fact::named("gateway", "IPv4 gateway of the anchor address", "10.17.0.1", Stability::Immutable),
        Fact::named(
            "netmask",
            "IPv4 netmask of the anchor address, dotted",
            "255.255.0.0",
            Stability::Immutable,
        ),
        Fact::named("droplet-id", "number of the Droplet, decimal", "289794365", Stability::Immutable),
        Fact::named("region", "region slug", "nyc3", Stability::Immutable),
        Fact::named(
            "reserved-ip",
            "reserved (floating) IPv4 address, if one was assigned when the collector ran",
            "203.0.113.25",
            Stability::Dynamic,
        ),
    ],
    retired: &[],
    needs: &[Need::MetadataService],
    variables: &[Variable {
        name: URL_VARIABLE,
        summary: "http:// address of the metadata document; set, the node is taken for a Droplet whatever its firmware says",
    }],
    timeout: Duration::from_secs(15),
    enabled: Enabled::ByDefault,
    collect: Collect::Async(|cx| Box::pin(collect(cx))),
};

register!(DIGITAL_OCEAN_ANCHOR_IP);

const URL_VARIABLE: &str = "DIGITAL_OCEAN_METADATA_URL";
const DEFAULT_URL: &str = "http://169.254.169.254/metadata/v1.json";
const VENDOR: &str = "DigitalOcean";

/// How long a machine that may be a Droplet, and probably is not, is kept waiting.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

async fn collect(cx: &Context) -> Result<Collected, CollectError> {
    if let Some(url) = cx.environment.get(URL_VARIABLE) {
        return ask(cx, url).await;
    }
    match Machine::identify(cx, VENDOR).await {
        Machine::Ours => ask(cx, DEFAULT_URL).await,
        Machine::Other(vendor) => {
            Ok(Collected::not_applicable(format!("not a Droplet: the firmware names `{vendor}`")))
        }
        Machine::Unknown => Ok(probe(cx).await),
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
            .hint(format!("is something else answering in its place, or is `{URL_VARIABLE}` wrong?"))),
    }
}

/// Asks once, and takes anything but the expected answer for "not a Droplet".
async fn probe(cx: &Context) -> Collected {
    let request = HttpRequest { timeout: PROBE_TIMEOUT, ..HttpRequest::get(DEFAULT_URL) };
    let reason = match cx.http.send(request).await {
        Err(_) => "no metadata service answers".to_owned(),
        Ok(HttpResponse { status: 200, body }) => match metadata::parse(&body) {
            Ok(collected) => return collected,
            Err(_) => "the metadata service is not DigitalOcean's".to_owned(),
        },
        Ok(HttpResponse { status, .. }) => format!("the metadata service answered with status {status}"),
    };
    Collected::not_applicable(format!("not a Droplet: the firmware names no vendor, and {reason}"))
}

fn no_answer(error: HttpError) -> CollectError {
    let failure = CollectError::new("cannot ask the metadata service of DigitalOcean");
    let failure = if error.is_retryable() { failure.retryable() } else { failure };
    let failure = match error {
        HttpError::Address { .. } => {
            failure.hint(format!("set `{URL_VARIABLE}` to an address such as {DEFAULT_URL}, or unset it"))
        }
        _ => failure.hint(
            "a NetworkPolicy or the network plugin may keep pods from link-local addresses: \
             allow egress to 169.254.169.254, or run with the host network",
        ),
    };
    failure.because(error)
}

fn refused(status: u16) -> CollectError {
    CollectError::new(format!("the metadata service of DigitalOcean answered with status {status}"))
}

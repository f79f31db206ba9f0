//! `cloud`: the cloud that the machine belongs to, and what says so, told without a network.
//!
//! Reads the strings of DMI, and the boot parameters of images that are made for several clouds. Machines of
//! which neither names a cloud have none of these facts.

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Stability, Topic, register,
};

use crate::source::cloud::{LOCAL, identify};

const PROVIDER: Fact = Fact::primary(
    "cloud: `aws`, `gcp`, `azure`, `digital-ocean`, `hetzner`, `vultr`, `linode`, `openstack` (whoever runs it), `oracle`, \
     `scaleway`, `alibaba`, `cloudsigma`, `cloudstack`, `exoscale`, `ibm`, `nwcs` or `upcloud`",
    "aws",
    Stability::Immutable,
);
const EVIDENCE: Fact = Fact::named(
    "evidence",
    "what names the cloud: a string of DMI or a boot parameter, without its value",
    "dmi:sys_vendor",
    Stability::Immutable,
);

/// The collector.
pub static CLOUD: Collector = Collector::new(
    "cloud",
    Topic::Cloud,
    "Cloud that the machine belongs to, told without a network",
    &[PROVIDER, EVIDENCE],
    Collect::Blocking(collect),
)
.reads(&LOCAL)
.not_applicable("where neither DMI nor a boot parameter names a cloud");

register!(CLOUD);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    Ok(match identify(&cx.host)? {
        Some(identity) => Facts::new(identity.provider).with(&EVIDENCE, identity.evidence).into(),
        None => Collected::not_applicable("neither the firmware nor a boot parameter names a cloud"),
    })
}

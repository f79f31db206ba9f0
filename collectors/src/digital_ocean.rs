//! `digital-ocean`: what the metadata service says of every Droplet, with an anchor address or without.
//!
//! Asks the service that `digital-ocean-anchor-ip` asks. Only the number of the Droplet decides: an address
//! or a region that cannot be read is left out.

use std::net::{Ipv4Addr, Ipv6Addr};

use node_annotator_core::{
    Collect, Collected, Collector, Fact, Facts, Kind, Need, NodeField, Stability, Topic, register,
};

use crate::source::droplet::{self, Interface, Metadata};
use crate::source::metadata::{self, Malformed, Odd, is_name};

const DROPLET_ID: Fact = Fact::primary("number of the Droplet, decimal", "289794365", Stability::Immutable)
    .kind(Kind::Number)
    .unique()
    .also_in(NodeField::ProviderId("digitalocean"));
const REGION: Fact = Fact::named("region", "region slug", "nyc3", Stability::Immutable);
const PUBLIC_IPV4: Fact = Fact::named(
    "public-ipv4",
    "IPv4 address of the first public interface",
    "198.51.100.17",
    Stability::Immutable,
)
.unique();
const PUBLIC_IPV6: Fact = Fact::named(
    "public-ipv6",
    "IPv6 address of the first public interface, if IPv6 is on",
    "2001:db8::17",
    Stability::Immutable,
)
.unique();
const PRIVATE_IPV4: Fact = Fact::named(
    "private-ipv4",
    "IPv4 address of the first private interface, in the VPC",
    "10.132.0.7",
    Stability::Immutable,
)
.unique();
const RESERVED_IPV4: Fact = Fact::named(
    "reserved-ipv4",
    "reserved (floating) IPv4 address, if one was assigned when the collector ran",
    "203.0.113.25",
    Stability::Dynamic,
)
.unique();
const RESERVED_IPV6: Fact = Fact::named(
    "reserved-ipv6",
    "reserved IPv6 address, if one was assigned when the collector ran",
    "2001:db8:5::1",
    Stability::Dynamic,
)
.unique();
const DHCP_ENABLED: Fact = Fact::named(
    "dhcp-enabled",
    "whether the image gets its addresses by DHCP: `true` or `false`",
    "false",
    Stability::Immutable,
)
.kind(Kind::Flag);

/// The collector.
pub static DIGITAL_OCEAN: Collector = Collector::new(
    "digital-ocean",
    Topic::Cloud,
    "Number, region and addresses of a DigitalOcean Droplet",
    &[DROPLET_ID, REGION, PUBLIC_IPV4, PUBLIC_IPV6, PRIVATE_IPV4, RESERVED_IPV4, RESERVED_IPV6, DHCP_ENABLED],
    Collect::Async(|cx| Box::pin(droplet::collect(cx, facts))),
)
.reads(&droplet::SOURCES)
.not_applicable("where DMI and the operator do not name a Droplet")
.needs(&[Need::MetadataService])
.variables(&[droplet::URL])
.timeout(metadata::TIMEOUT)
.on_request();

register!(DIGITAL_OCEAN);

/// The facts of a document.
fn facts(metadata: &Metadata) -> Result<Collected, Malformed> {
    let droplet_id = metadata.droplet_id().ok().flatten().ok_or(Malformed::Shape(droplet::MACHINE))?;
    let public = metadata.first(|interfaces| interfaces.public);
    let private = metadata.first(|interfaces| interfaces.private);
    let features = metadata.features.clone().told("features");
    let dhcp = features.and_then(|features| features.unwrap_or_default().dhcp_enabled.told("dhcp_enabled"));
    Ok(Facts::new(droplet_id.to_string())
        .with_read(&REGION, metadata.region.clone().checked("region", is_name))
        .with_read(&PUBLIC_IPV4, public.clone().and_then(ipv4))
        .with_read(&PUBLIC_IPV6, public.and_then(ipv6))
        .with_read(&PRIVATE_IPV4, private.and_then(ipv4))
        .with_read(&RESERVED_IPV4, metadata.reserved_ipv4())
        .with_read(&RESERVED_IPV6, metadata.reserved_ipv6())
        .with_read(&DHCP_ENABLED, dhcp)
        .into())
}

fn ipv4(interface: Interface) -> Result<Option<Ipv4Addr>, Odd> {
    interface.ipv4.told("ipv4")?.unwrap_or_default().ip_address.parsed("ipv4")
}

fn ipv6(interface: Interface) -> Result<Option<Ipv6Addr>, Odd> {
    interface.ipv6.told("ipv6")?.unwrap_or_default().ip_address.parsed("ipv6")
}

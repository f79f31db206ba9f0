//! `digital-ocean-anchor-ip`: the anchor address of a Droplet, to which traffic for its reserved IP is
//! delivered.
//!
//! Asks the metadata service. A Droplet without an anchor address has none of these facts: one made of a
//! custom image, or before October 2015. What does not hang on the anchor is in `digital-ocean`.

use std::net::Ipv4Addr;

use node_annotator_core::{
    Collect, Collected, Collector, Fact, Facts, Kind, Need, NodeField, Stability, Topic, register,
};

use crate::source::droplet::{self, Metadata};
use crate::source::metadata::{self, Malformed, is_name};

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
        .unique()
        .also_in(NodeField::ProviderId("digitalocean"));
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
    Collect::Async(|cx| Box::pin(droplet::collect(cx, facts))),
)
.reads(&droplet::SOURCES)
.not_applicable("where DMI and the operator do not name a Droplet")
.needs(&[Need::MetadataService])
.variables(&[droplet::URL])
.timeout(metadata::TIMEOUT);

register!(DIGITAL_OCEAN_ANCHOR_IP);

/// The facts of a document.
fn facts(metadata: &Metadata) -> Result<Collected, Malformed> {
    let interfaces =
        metadata.interfaces.clone().told("interfaces").map_err(|_| Malformed::Shape(droplet::MACHINE))?;
    let public = interfaces
        .ok_or(Malformed::Shape(droplet::MACHINE))?
        .public
        .told("public")
        .map_err(|_| Malformed::Shape(droplet::MACHINE))?;
    let interfaces =
        public.into_iter().flatten().filter_map(|interface| interface.told("public").transpose());
    let mut anchors = interfaces.filter_map(|interface| match interface {
        Ok(interface) => interface.anchor_ipv4.told("anchor_ipv4").transpose(),
        Err(odd) => Some(Err(odd)),
    });
    let none = || Ok(Collected::not_applicable("the Droplet has no anchor address"));
    let Some(anchor) = anchors.next() else { return none() };
    let anchor = anchor.map_err(|_| Malformed::Shape(droplet::MACHINE))?;
    let address = anchor.ip_address.told("anchor_ipv4").map_err(|_| Malformed::Address)?;
    let Some(address) = address else { return none() };
    let (address, prefix_netmask) = with_prefix(&address).ok_or(Malformed::Address)?;
    let netmask = anchor.netmask.parsed::<Ipv4Addr>("netmask").map(|netmask| netmask.or(prefix_netmask));
    let region = metadata.region.clone().checked("region", is_name);
    Ok(Facts::new(address.to_string())
        .with_read(&GATEWAY, anchor.gateway.parsed::<Ipv4Addr>("gateway"))
        .with_read(&NETMASK, netmask)
        .with_read(&DROPLET_ID, metadata.droplet_id())
        .with_read(&REGION, region)
        .with_read(&RESERVED_IP, metadata.reserved_ipv4())
        .into())
}

/// An address, and the netmask of a prefix length behind it: `10.17.0.9/16` is as clear as an address and a
/// netmask.
fn with_prefix(text: &str) -> Option<(Ipv4Addr, Option<Ipv4Addr>)> {
    let Some((address, length)) = text.trim().split_once('/') else {
        return Some((text.trim().parse().ok()?, None));
    };
    let length: u32 = length.parse().ok().filter(|length| *length <= Ipv4Addr::BITS)?;
    let netmask = u32::MAX.checked_shl(Ipv4Addr::BITS - length).unwrap_or(0);
    Some((address.parse().ok()?, Some(Ipv4Addr::from_bits(netmask))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_prefix_length_has_a_netmask() {
        for (text, netmask) in [
            ("10.17.0.9", Some(None)),
            (" 10.17.0.9/16", Some(Some("255.255.0.0"))),
            ("10.17.0.9/0", Some(Some("0.0.0.0"))),
            ("10.17.0.9/32", Some(Some("255.255.255.255"))),
            ("10.17.0.9/33", None),
            ("10.17.0.9/", None),
            ("2001:db8::1", None),
        ] {
            let netmask: Option<Option<Ipv4Addr>> =
                netmask.map(|text| text.map(|text| text.parse().unwrap()));
            assert_eq!(with_prefix(text).map(|(_, netmask)| netmask), netmask, "{text}");
        }
    }
}

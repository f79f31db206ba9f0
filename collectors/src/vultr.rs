//! `vultr`: what the metadata service says of a Vultr instance: id, public and VPC addresses, and its
//! autonomous system where it speaks BGP.

use node_annotator_core::{
    Collect, CollectError, Collector, Fact, Facts, Kind, Need, NodeField, Stability, Topic, Variable,
    register,
};
use serde::Deserialize;

use crate::source::cloud;
use crate::source::metadata::{self, Field, NumberOrText, Odd, Service, Session, is_address, is_name, list};

const INSTANCE_ID: Fact =
    Fact::primary("id of the instance", "29bea708-2e6e-480a-90ad-0e6b5d5ad62f", Stability::Immutable)
        .unique()
        .also_in(NodeField::ProviderId("vultr"));
const PUBLIC_IPV4: Fact = Fact::named(
    "public-ipv4",
    "IPv4 address of the public interface, if it has one",
    "203.0.113.25",
    Stability::Immutable,
)
.unique();
const PUBLIC_IPV6: Fact = Fact::named(
    "public-ipv6",
    "IPv6 address of the public interface, if it has one",
    "2001:db8:5:28a7:5400:3ff:fe1b:4eca",
    Stability::Immutable,
)
.unique();
const PRIVATE_IPS: Fact = Fact::named(
    "private-ips",
    "its address in each VPC, when the collector ran",
    "10.1.112.3",
    Stability::Dynamic,
)
.kind(Kind::List)
.unique();
const VPCS: Fact = Fact::named(
    "vpcs",
    "ids of those VPCs, in the same order",
    "fbbe2b5b-b986-4396-87f5-7246660ccb64",
    Stability::Dynamic,
)
.kind(Kind::List);
const ASN: Fact = Fact::named(
    "asn",
    "number of its own autonomous system, where BGP is set up",
    "64512",
    Stability::Dynamic,
)
.kind(Kind::Number);

/// The collector.
pub static VULTR: Collector = Collector::new(
    "vultr",
    Topic::Cloud,
    "Id, addresses and BGP number of a Vultr instance",
    &[INSTANCE_ID, PUBLIC_IPV4, PUBLIC_IPV6, PRIVATE_IPS, VPCS, ASN],
    Collect::Async(|cx| Box::pin(SERVICE.collect(cx, facts))),
)
.reads(&SOURCES)
.not_applicable("where nothing local and no operator says that it is a Vultr instance")
.needs(&[Need::MetadataService])
.variables(&[URL])
.timeout(metadata::TIMEOUT)
.on_request();

register!(VULTR);

const URL: Variable = Variable::operator(
    "VULTR_METADATA_URL",
    "http:// address of the metadata service, without a path; set, the node is taken for a Vultr instance",
);

/// What tells the cloud, and the service.
const SOURCES: [&str; 7] = cloud::sources(&["http://169.254.169.254/v1.json"]);

static SERVICE: Service = Service {
    // User data and vendor data are in the document.
    max_body_bytes: 1024 * 1024,
    ..Service::new("vultr", "Vultr", "a Vultr instance", URL)
};

/// `public-keys`, `user-data`, `startup-script` and `vendor-data` are beside these: it holds the hash of
/// root's password.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Metadata {
    instance_v2_id: Field<String>,
    interfaces: Field<Vec<Interface>>,
    bgp: Field<Bgp>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Interface {
    network_type: Field<String>,
    network_v2_id: Field<String>,
    ipv4: Field<Addressing>,
    ipv6: Field<Addressing>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Addressing {
    address: Field<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Bgp {
    ipv4: Field<Peering>,
    ipv6: Field<Peering>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Peering {
    my_asn: Field<NumberOrText>,
}

async fn facts(session: Session) -> Result<Facts, CollectError> {
    let metadata: Metadata = session.required_document("/v1.json").await?;
    let id = metadata.instance_v2_id.checked("instance-v2-id", is_name).ok().flatten();
    let id = id.ok_or_else(|| session.other_shape())?;
    let interfaces = metadata.interfaces.told("interfaces").map(Option::unwrap_or_default);
    let of_kind = |kind: &'static str| {
        let is_of_kind =
            move |interface: &Interface| matches!(&interface.network_type, Field::Told(told) if told == kind);
        interfaces.clone().map(|all| all.into_iter().filter(is_of_kind).collect::<Vec<_>>())
    };
    let public = of_kind("public").map(|all| all.into_iter().next().unwrap_or_default());
    let private = of_kind("private");
    Ok(Facts::new(id)
        .with_read(&PUBLIC_IPV4, public.clone().and_then(|interface| address(interface.ipv4, "ipv4")))
        .with_read(&PUBLIC_IPV6, public.and_then(|interface| address(interface.ipv6, "ipv6")))
        .with_read(&PRIVATE_IPS, private.clone().and_then(|all| each(all, |one| address(one.ipv4, "ipv4"))))
        .with_read(
            &VPCS,
            private.and_then(|all| each(all, |one| one.network_v2_id.checked("network-v2-id", is_name))),
        )
        .with_read(&ASN, asn(metadata.bgp)))
}

/// An address, in the spelling of its family.
fn address(addressing: Field<Addressing>, name: &'static str) -> Result<Option<String>, Odd> {
    let address = addressing.told(name)?.unwrap_or_default().address.checked(name, is_address)?;
    Ok(address.and_then(|text| text.parse::<std::net::IpAddr>().ok()).map(|address| address.to_string()))
}

fn each(
    interfaces: Vec<Interface>,
    of: impl Fn(Interface) -> Result<Option<String>, Odd>,
) -> Result<Option<String>, Odd> {
    let values: Vec<_> = interfaces.into_iter().map(of).collect::<Result<_, _>>()?;
    Ok(list(values.into_iter().flatten()))
}

fn asn(bgp: Field<Bgp>) -> Result<Option<u64>, Odd> {
    let Bgp { ipv4, ipv6 } = bgp.told("bgp")?.unwrap_or_default();
    for peering in [ipv4, ipv6] {
        let asn = peering.told("bgp")?.unwrap_or_default().my_asn.number("my-asn")?;
        if asn.is_some() {
            return Ok(asn);
        }
    }
    Ok(None)
}

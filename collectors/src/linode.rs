//! `linode`: what the metadata service says of a Linode (Akamai Cloud): number, host, public, private and
//! shared addresses.

use node_annotator_core::{
    Collect, CollectError, Collector, Fact, Facts, Kind, Need, NodeField, Stability, Topic, Variable,
    register,
};
use serde::Deserialize;

use crate::source::cloud;
use crate::source::metadata::{
    self, Field, NumberOrText, Odd, Service, Session, is_address, is_name, is_number, list,
};

const LINODE_ID: Fact = Fact::primary("number of the Linode, decimal", "58123456", Stability::Immutable)
    .kind(Kind::Number)
    .unique()
    .also_in(NodeField::ProviderId("linode"));
const HOST_UUID: Fact = Fact::named(
    "host-uuid",
    "physical host that it was on when the collector ran: two nodes with one value fail together",
    "3a3ddd59d9a78bb8de041391075df44de62bfec8",
    Stability::Dynamic,
);
const PUBLIC_IPV4: Fact =
    Fact::named("public-ipv4", "public IPv4 addresses", "203.0.113.25", Stability::Dynamic)
        .kind(Kind::List)
        .unique();
const PRIVATE_IPV4: Fact = Fact::named(
    "private-ipv4",
    "private IPv4 addresses in the region, if it has some",
    "192.168.129.17",
    Stability::Dynamic,
)
.kind(Kind::List)
.unique();
const SHARED_IPS: Fact = Fact::named(
    "shared-ips",
    "addresses that it shares with others for a fail-over, if it does",
    "203.0.113.99",
    Stability::Dynamic,
)
.kind(Kind::List);
const IPV6: Fact =
    Fact::named("ipv6", "IPv6 address by SLAAC", "2001:db8::f03c:92ff:fe9d:5c01", Stability::Immutable)
        .unique();
const IPV6_RANGES: Fact = Fact::named(
    "ipv6-ranges",
    "IPv6 networks that are routed to it, if there are some",
    "2001:db8:e001:10::/64",
    Stability::Dynamic,
)
.kind(Kind::List)
.unique();

/// The collector.
pub static LINODE: Collector = Collector::new(
    "linode",
    Topic::Cloud,
    "Number, physical host and addresses of a Linode",
    &[LINODE_ID, HOST_UUID, PUBLIC_IPV4, PRIVATE_IPV4, SHARED_IPS, IPV6, IPV6_RANGES],
    Collect::Async(|cx| Box::pin(SERVICE.collect(cx, facts))),
)
.reads(&SOURCES)
.not_applicable("where nothing local and no operator says that it is a Linode")
.needs(&[Need::MetadataService])
.variables(&[URL])
.timeout(metadata::TIMEOUT)
.on_request();

register!(LINODE);

const URL: Variable = Variable::operator(
    "LINODE_METADATA_URL",
    "http:// address of the metadata service, without a path; set, the node is taken for a Linode",
);

/// What tells the cloud, and the service.
const SOURCES: [&str; 9] = cloud::sources(&[
    "http://169.254.169.254/v1/token",
    "http://169.254.169.254/v1/instance",
    "http://169.254.169.254/v1/network",
]);

static SERVICE: Service = Service {
    // Without it the service answers in lines of text.
    headers: &[("Accept", "application/json")],
    ..Service::new("linode", "Linode", "a Linode", URL)
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Instance {
    id: Field<NumberOrText>,
    host_uuid: Field<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network {
    ipv4: Field<Ipv4>,
    ipv6: Field<Ipv6>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Ipv4 {
    public: Field<Vec<String>>,
    private: Field<Vec<String>>,
    shared: Field<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Ipv6 {
    slaac: Field<String>,
    ranges: Field<Vec<String>>,
}

async fn facts(session: Session) -> Result<Facts, CollectError> {
    let life_time = ("Metadata-Token-Expiry-Seconds", "60");
    let session = session.with_token("/v1/token", life_time, "Metadata-Token").await?;
    let Instance { id, host_uuid } = session.required_document("/v1/instance").await?;
    let id = id.number("id").ok().flatten();
    let facts = Facts::new(id.ok_or_else(|| session.other_shape())?.to_string())
        .with_read(&HOST_UUID, host_uuid.checked("host_uuid", is_name));
    Ok(with_network(facts, session.document("/v1/network").await))
}

fn with_network(facts: Facts, network: Result<Option<Network>, CollectError>) -> Facts {
    let parts = [&PUBLIC_IPV4, &PRIVATE_IPV4, &SHARED_IPS, &IPV6, &IPV6_RANGES];
    let Network { ipv4, ipv6 } = match network {
        Ok(network) => network.unwrap_or_default(),
        Err(error) => return metadata::without(facts, &parts, &error),
    };
    let ipv4 = ipv4.told("ipv4").map(Option::unwrap_or_default);
    let ipv6 = ipv6.told("ipv6").map(Option::unwrap_or_default);
    let of_ipv4 = |field: fn(Ipv4) -> Field<Vec<String>>, name| {
        ipv4.clone().and_then(|ipv4| networks(field(ipv4), name, address))
    };
    let slaac = ipv6.clone().and_then(|ipv6| ipv6.slaac.told("slaac"));
    facts
        .with_read(&PUBLIC_IPV4, of_ipv4(|ipv4| ipv4.public, "public"))
        .with_read(&PRIVATE_IPV4, of_ipv4(|ipv4| ipv4.private, "private"))
        .with_read(&SHARED_IPS, of_ipv4(|ipv4| ipv4.shared, "shared"))
        .with_read(
            &IPV6,
            slaac.and_then(|slaac| slaac.map(|text| address(&text).ok_or(Odd::Value("slaac"))).transpose()),
        )
        .with_read(&IPV6_RANGES, ipv6.and_then(|ipv6| networks(ipv6.ranges, "ranges", range)))
}

fn networks(
    field: Field<Vec<String>>,
    name: &'static str,
    read: fn(&str) -> Option<String>,
) -> Result<Option<String>, Odd> {
    let texts = field.told(name)?.unwrap_or_default();
    let values: Option<Vec<_>> = texts.iter().map(|text| read(text)).collect();
    Ok(list(values.ok_or(Odd::Value(name))?))
}

/// Addresses carry the length of a prefix: `203.0.113.25/24`.
fn address(text: &str) -> Option<String> {
    let address = text.split('/').next().unwrap_or_default().trim();
    is_address(address).then(|| address.to_owned())
}

fn range(text: &str) -> Option<String> {
    let (_, length) = text.trim().split_once('/')?;
    (address(text).is_some() && is_number(length)).then(|| text.trim().to_owned())
}

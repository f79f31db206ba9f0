//! `scaleway`: what the metadata service says of a Scaleway Instance: id, public addresses and hypervisor.

use node_annotator_core::{
    Collect, CollectError, Collector, Fact, Facts, Kind, Need, NodeField, Stability, Topic, Variable,
    register,
};
use serde::Deserialize;

use crate::source::cloud;
use crate::source::metadata::{self, Field, NumberOrText, Odd, Service, Session, is_address, is_name, list};

const INSTANCE_ID: Fact =
    Fact::primary("id of the Instance, a UUID", "3a8f0e2d-7c31-4b59-9d0e-5b6f0c1a2e47", Stability::Immutable)
        .unique()
        .also_in(NodeField::ProviderId("scaleway"));
const PUBLIC_IPV4: Fact = Fact::named(
    "public-ipv4",
    "public (flexible) IPv4 addresses, when the collector ran",
    "203.0.113.25",
    Stability::Dynamic,
)
.kind(Kind::List)
.unique();
const PUBLIC_IPV6: Fact = Fact::named(
    "public-ipv6",
    "public (flexible) IPv6 addresses, when the collector ran",
    "2001:db8:710:9c11::1",
    Stability::Dynamic,
)
.kind(Kind::List)
.unique();
const HYPERVISOR: Fact = Fact::named(
    "hypervisor",
    "cluster and number of the hypervisor that it was on when the collector ran: `platform/cluster/hypervisor`",
    "14/40/1001",
    Stability::Dynamic,
);

/// The collector.
pub static SCALEWAY: Collector = Collector::new(
    "scaleway",
    Topic::Cloud,
    "Id, public addresses and hypervisor of a Scaleway Instance",
    &[INSTANCE_ID, PUBLIC_IPV4, PUBLIC_IPV6, HYPERVISOR],
    Collect::Async(|cx| Box::pin(SERVICE.collect(cx, facts))),
)
.reads(&SOURCES)
.not_applicable("where nothing local and no operator says that it is a Scaleway Instance")
.needs(&[Need::MetadataService])
.variables(&[URL])
.timeout(metadata::TIMEOUT)
.on_request();

register!(SCALEWAY);

const URL: Variable = Variable::operator(
    "SCALEWAY_METADATA_URL",
    "http:// address of the metadata service, without a path; set, the node is taken for a Scaleway Instance",
);

/// What tells the cloud, and the service.
const SOURCES: [&str; 7] = cloud::sources(&["http://169.254.42.42/conf?format=json"]);

static SERVICE: Service = Service {
    default_url: "http://169.254.42.42",
    unreachable: "a NetworkPolicy or the network plugin may keep pods from link-local addresses: allow egress to \
                  169.254.42.42, or run with the host network",
    ..Service::new("scaleway", "Scaleway", "a Scaleway Instance", URL)
};

/// `tags`, which may hold an `AUTHORIZED_KEY`, and `ssh_public_keys` are beside these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    id: Field<String>,
    public_ips_v4: Field<Vec<PublicIp>>,
    public_ips_v6: Field<Vec<PublicIp>>,
    location: Field<Location>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct PublicIp {
    address: Field<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Location {
    #[serde(rename = "platform_id")]
    platform: Field<NumberOrText>,
    #[serde(rename = "cluster_id")]
    cluster: Field<NumberOrText>,
    #[serde(rename = "hypervisor_id")]
    hypervisor: Field<NumberOrText>,
}

async fn facts(session: Session) -> Result<Facts, CollectError> {
    let metadata: Metadata = session.required_document("/conf?format=json").await?;
    let id = metadata.id.checked("id", is_name).ok().flatten();
    Ok(Facts::new(id.ok_or_else(|| session.other_shape())?)
        .with_read(&PUBLIC_IPV4, addresses(metadata.public_ips_v4, "public_ips_v4"))
        .with_read(&PUBLIC_IPV6, addresses(metadata.public_ips_v6, "public_ips_v6"))
        .with_read(&HYPERVISOR, metadata.location.told("location").and_then(hypervisor)))
}

fn addresses(field: Field<Vec<PublicIp>>, name: &'static str) -> Result<Option<String>, Odd> {
    let ips = field.told(name)?.unwrap_or_default();
    let addresses: Vec<_> =
        ips.into_iter().map(|ip| ip.address.checked(name, is_address)).collect::<Result<_, _>>()?;
    Ok(list(addresses.into_iter().flatten()))
}

/// The numbers are unique with those above them alone.
fn hypervisor(location: Option<Location>) -> Result<Option<String>, Odd> {
    let Location { platform, cluster, hypervisor } = location.unwrap_or_default();
    let parts = [
        platform.written("platform_id")?,
        cluster.written("cluster_id")?,
        hypervisor.written("hypervisor_id")?,
    ];
    let path = parts.into_iter().collect::<Option<Vec<_>>>().map(|parts| parts.join("/"));
    match path {
        Some(path) if !is_name(&path) => Err(Odd::Value("location")),
        path => Ok(path),
    }
}

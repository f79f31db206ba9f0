//! `hetzner`: what the metadata service says of a Hetzner Cloud server: number, public and private addresses.
//!
//! Each fact is a document of its own: the whole one, in YAML, carries SSH keys and vendor data. Behind a
//! router of its own a server without a public address reaches the router's service, and the number is the
//! router's: `doctor` compares it with the Node's providerID.

use std::net::{IpAddr, Ipv6Addr};

use node_annotator_core::{
    Collect, CollectError, Collector, Fact, Facts, Kind, Need, NodeField, Stability, Topic, Variable,
    register,
};

use crate::source::cloud;
use crate::source::metadata::{self, Service, Session, is_address, is_number, list};

const INSTANCE_ID: Fact = Fact::primary("number of the server, decimal", "52437581", Stability::Immutable)
    .kind(Kind::Number)
    .unique()
    .also_in(NodeField::ProviderId("hcloud"));
const PUBLIC_IPV4: Fact = Fact::named(
    "public-ipv4",
    "public IPv4 address (Primary IP), if it has one",
    "203.0.113.25",
    Stability::Immutable,
)
.unique();
const PUBLIC_IPV6: Fact = Fact::named(
    "public-ipv6",
    "first address of its public IPv6 network, if it has one",
    "2001:db8:beef::1",
    Stability::Immutable,
)
.unique();
const PRIVATE_IPS: Fact = Fact::named(
    "private-ips",
    "its address in each private network, when the collector ran",
    "10.0.0.3",
    Stability::Dynamic,
)
.kind(Kind::List)
.unique();

/// The collector.
pub static HETZNER: Collector = Collector::new(
    "hetzner",
    Topic::Cloud,
    "Number and addresses of a Hetzner Cloud server",
    &[INSTANCE_ID, PUBLIC_IPV4, PUBLIC_IPV6, PRIVATE_IPS],
    Collect::Async(|cx| Box::pin(SERVICE.collect(cx, facts))),
)
.reads(&SOURCES)
.not_applicable("where nothing local and no operator says that it is a Hetzner Cloud server")
.needs(&[Need::MetadataService])
.variables(&[URL])
.timeout(metadata::TIMEOUT)
.on_request();

register!(HETZNER);

const URL: Variable = Variable::operator(
    "HETZNER_METADATA_URL",
    "http:// address of the metadata service, without a path; set, the node is taken for a Hetzner Cloud server",
);

/// What tells the cloud, and the service.
const SOURCES: [&str; 7] = cloud::sources(&["http://169.254.169.254/hetzner/v1/metadata/*"]);

static SERVICE: Service = Service {
    unreachable: "a server without a public address has no route to the service; else a NetworkPolicy or the network plugin \
                  may keep pods from it: allow egress to 169.254.169.254, or run with the host network",
    ..Service::new("hetzner", "Hetzner Cloud", "a Hetzner Cloud server", URL)
};

async fn facts(session: Session) -> Result<Facts, CollectError> {
    let id = session.required_text("/hetzner/v1/metadata/instance-id", is_number).await?;
    let network = yaml(&session, "/hetzner/v1/metadata/network-config", is_network_config).await;
    let private = yaml(&session, "/hetzner/v1/metadata/private-networks", is_private_networks).await;
    Ok(Facts::new(id)
        .with_read(&PUBLIC_IPV4, session.text("/hetzner/v1/metadata/public-ipv4", is_address).await)
        .with_read(&PUBLIC_IPV6, network.map(|text| text.and_then(|text| first_ipv6(&text))))
        .with_read(&PRIVATE_IPS, private.map(|text| text.and_then(|text| private_ips(&text)))))
}

/// A document of several lines, if it is one of the service.
async fn yaml(session: &Session, path: &str, is: fn(&str) -> bool) -> Result<Option<String>, CollectError> {
    let Some(body) = session.get(path).await? else { return Ok(None) };
    match String::from_utf8(body) {
        Ok(text) if is(&text) => Ok(Some(text)),
        _ => Err(session.strange(path)),
    }
}

fn is_network_config(text: &str) -> bool {
    text.trim().is_empty() || values(text, "version").next().is_some()
}

fn is_private_networks(text: &str) -> bool {
    matches!(text.trim(), "" | "[]") || values(text, "ip").next().is_some()
}

/// The values of a key, wherever it stands: the documents are short, and no key is in them with two meanings.
fn values<'a>(yaml: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    yaml.lines().filter_map(move |line| {
        let line = line.trim_start_matches([' ', '-']);
        let value = line.strip_prefix(key)?.strip_prefix(':')?;
        Some(value.trim().trim_matches(['\'', '"']))
    })
}

/// The addresses of a network configuration have prefix lengths.
fn first_ipv6(network_config: &str) -> Option<Ipv6Addr> {
    values(network_config, "address").find_map(|value| value.split('/').next()?.parse().ok())
}

fn private_ips(private_networks: &str) -> Option<String> {
    list(values(private_networks, "ip").filter_map(|value| value.parse::<IpAddr>().ok()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_found_in_the_yaml_of_the_service() {
        let config = "config:\n- mac_address: 96:00:00:08:19:da\n  subnets:\n  - ipv4: true\n    type: dhcp\n\
                      \x20 - address: 2a01:4f8:beef:beef::1/64\n    gateway: fe80::1\nversion: 1\n";
        assert_eq!(first_ipv6(config), "2a01:4f8:beef:beef::1".parse().ok());
        assert_eq!(first_ipv6("config: []\n"), None);
        let networks = "- ip: 10.0.0.3\n  alias_ips: [10.0.0.9]\n  network_id: 17\n  gateway: 10.0.0.1\n\
                        - ip: '10.1.0.3'\n- ip: none\n";
        assert_eq!(private_ips(networks).as_deref(), Some("10.0.0.3,10.1.0.3"));
        assert_eq!(private_ips("[]"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(ip|address|[-: '\"\n./]|[0-9a-f])*|\\PC*") {
            let _ = (first_ipv6(&text), private_ips(&text));
        }
    }
}

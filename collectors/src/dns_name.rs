//! `dns-name`: the node's fully-qualified name, as its resolver knows it.
//!
//! Looks up the names that the node's addresses point back to, and keeps those that point forward to the same
//! address: whoever runs a reverse zone can claim any name in it. With `dnsPolicy: ClusterFirst` the
//! cluster's DNS answers and may know the node as an endpoint of a service; the name is meant to come from
//! the node's own resolver, `dnsPolicy: Default`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Kind, Need, Stability, Topic,
    Variable, register,
};

const NAME: Fact = Fact::primary(
    "the first, in order of the alphabet, of the confirmed names; lower case, without the final dot",
    "node-17.example.com",
    Stability::Dynamic,
)
.unique();
const NAMES: Fact = Fact::named(
    "names",
    "all confirmed names, sorted, joined by commas",
    "node-17.example.com",
    Stability::Dynamic,
)
.kind(Kind::List)
.unique();

const NODE_IPS: &str = "NODE_IPS";

/// The collector.
pub static DNS_NAME: Collector = Collector::new(
    "dns-name",
    Topic::Network,
    "Fully-qualified name of the node, by reverse lookup of its addresses, confirmed forward",
    &[NAME, NAMES],
    Collect::Async(|cx| Box::pin(collect(cx))),
)
.not_applicable("where no address of the node has a name that DNS confirms")
.needs(&[Need::Dns])
.variables(&[Variable::field(NODE_IPS, "the node's addresses, comma-separated; required", "status.hostIPs")])
.timeout(Duration::from_secs(10))
.on_request();

register!(DNS_NAME);

/// An address may point back to hundreds of names (shared hosting); a node's own has a few.
const MAX_NAMES_PER_ADDRESS: usize = 16;

async fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let addresses = addresses(cx.environment.get(NODE_IPS).unwrap_or_default())?;
    let mut confirmed = BTreeSet::new();
    let mut claimed = 0;
    for address in addresses {
        for name in names(&cx.resolver.names(address).await?) {
            claimed += 1;
            if cx.resolver.addresses(&name).await?.contains(&address) {
                confirmed.insert(name);
            }
        }
    }
    let Some(first) = confirmed.first() else {
        return Ok(Collected::not_applicable(match claimed {
            0 => "the node's addresses point back to no name",
            _ => "no name that the node's addresses point back to leads to them",
        }));
    };
    let all = confirmed.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    Ok(Facts::new(first).with(&NAMES, all).into())
}

/// The addresses of a comma-separated list, sorted.
fn addresses(list: &str) -> Result<BTreeSet<IpAddr>, CollectError> {
    let hint = "set it from the Downward API: `fieldPath: status.hostIPs`";
    let mut addresses = BTreeSet::new();
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let address: IpAddr = word.parse().map_err(|_| {
            CollectError::new(format!("`{NODE_IPS}` holds `{word}`, which is not an IP address"))
                .with_hint(hint)
                .lasting()
        })?;
        addresses.insert(address.to_canonical());
    }
    if addresses.is_empty() {
        return Err(CollectError::new(format!("`{NODE_IPS}` names no address")).with_hint(hint).lasting());
    }
    Ok(addresses)
}

/// The host names among what the resolver found, in one spelling, sorted; no more than are worth asking for.
fn names(found: &[String]) -> BTreeSet<String> {
    let names = found.iter().filter_map(|name| host_name(name));
    names.collect::<BTreeSet<_>>().into_iter().take(MAX_NAMES_PER_ADDRESS).collect()
}

/// A fully-qualified host name in lower case: at least two labels of letters, digits and inner hyphens.
fn host_name(text: &str) -> Option<String> {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_name = name.len() <= 253
        && name.contains('.')
        && name.split('.').all(is_label)
        && name.parse::<IpAddr>().is_err();
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_in_any_spelling() {
        let read: Vec<_> = addresses(" 10.0.0.7 ,fd00::1,, ::ffff:10.0.0.7").unwrap().into_iter().collect();
        assert_eq!(read, ["10.0.0.7".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]);
    }

    #[test]
    fn no_address_and_no_such_address_say_what_to_set() {
        for (list, message) in [
            ("", "`NODE_IPS` names no address"),
            (" , ", "`NODE_IPS` names no address"),
            ("10.0.0.7,node-1", "`NODE_IPS` holds `node-1`, which is not an IP address"),
        ] {
            let error = addresses(list).unwrap_err();
            assert_eq!(error.chain(), message);
            assert!(error.hint().unwrap().contains("status.hostIPs"));
            assert!(!error.is_retryable());
        }
    }

    #[test]
    fn only_fully_qualified_host_names_pass() {
        assert_eq!(host_name("Node-1.Example.COM."), Some("node-1.example.com".to_owned()));
        let long = format!("{}.example.com", "a".repeat(64));
        let longer = format!("{}com", "a.".repeat(126));
        for text in ["", ".", "localhost", "a..b", "-a.b", "a-.b", "_dmarc.a.b", "ä.b", "10.0.0.7", "a b.c"]
            .into_iter()
            .chain([long.as_str(), longer.as_str()])
        {
            assert_eq!(host_name(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_host_name_is_its_own_spelling(text in "\\PC*|[A-Za-z0-9.-]{0,300}") {
            if let Some(name) = host_name(&text) {
                prop_assert!(name.len() <= 253);
                prop_assert_eq!(host_name(&name), Some(name));
            }
        }
    }
}

//! Which of the names that DNS knows is taken for the node's own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use node_annotator_core::{Context, Environment, Outcome};
use node_annotator_testing::{NOTHING_TO_SEE, Zone, outcome};

use crate::{collector, host};

const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 17));

async fn ask(node_ips: Option<&str>, zone: Zone) -> Outcome {
    let environment: Environment = node_ips.map(|list| ("NODE_IPS", list)).into_iter().collect();
    let cx =
        Context::offline(host(NOTHING_TO_SEE)).with_environment(environment).with_resolver(Arc::new(zone));
    outcome(collector("dns-name"), cx).await
}

#[tokio::test]
async fn a_name_that_points_back_is_the_nodes() {
    let address: IpAddr = "2001:db8::17".parse().unwrap();
    let zone = Zone::with_node(&[NODE, address], "Node-17.Example.com.");
    let mut zone = Zone { addresses: [].into(), ..zone };
    zone.addresses.insert("node-17.example.com".to_owned(), vec![address]);
    let Outcome::Collected(facts) = ask(Some("192.0.2.17,2001:db8::17"), zone).await else {
        panic!("the second address confirms the name");
    };
    assert_eq!(facts.get(None), Some("node-17.example.com"));
}

#[tokio::test]
async fn names_are_sorted_and_only_confirmed_ones_count() {
    let mut zone = Zone::with_node(&[NODE], "b.example.com");
    zone.addresses.insert("c.example.com".to_owned(), vec![NODE]);
    zone.addresses.insert("a.example.org".to_owned(), vec!["198.51.100.1".parse().unwrap()]);
    let claimed = ["c.example.com", "a.example.org", "b.example.com", "bad_name.example.com"];
    zone.names.insert(NODE, claimed.map(str::to_owned).into());
    let Outcome::Collected(facts) = ask(Some("192.0.2.17"), zone).await else {
        panic!("two names are confirmed");
    };
    assert_eq!(facts.get(None), Some("b.example.com"));
    assert_eq!(facts.get(Some("names")), Some("b.example.com,c.example.com"));
}

#[tokio::test]
async fn no_name_and_no_confirmed_name_are_not_failures() {
    let outcome = ask(Some("192.0.2.17"), Zone::default()).await;
    let reason = "the node's addresses point back to no name";
    assert_eq!(outcome, Outcome::NotApplicable(reason.to_owned()));
    let claimed = Zone { addresses: [].into(), ..Zone::with_node(&[NODE], "node.example.com") };
    let reason = "no name that the node's addresses point back to leads to them";
    assert_eq!(ask(Some("192.0.2.17"), claimed).await, Outcome::NotApplicable(reason.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_fails_is_a_failure() {
    let zone = Zone { broken: true, ..Zone::default() };
    let outcome = ask(Some("192.0.2.17"), zone).await;
    assert_eq!(outcome.error().as_deref(), Some("cannot resolve `192.0.2.17`: server failure"));
}

#[tokio::test]
async fn without_addresses_it_says_what_to_set() {
    let outcome = ask(None, Zone::default()).await;
    assert_eq!(outcome.error().as_deref(), Some("`NODE_IPS` names no address"));
    assert!(outcome.hint().unwrap().contains("status.hostIPs"));
}

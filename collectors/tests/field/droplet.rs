//! Documents of the metadata service of DigitalOcean as they are found, and as they may be.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use node_annotator_core::{Context, Facts, Outcome};
use node_annotator_testing::Service;
use serde_json::{Value, json};

use crate::root::{Root, collector, left_out, run};

async fn ask(name: &str, document: impl ToString) -> Outcome {
    let root = Root::new([("sys/class/dmi/id/sys_vendor", "DigitalOcean\n")]);
    let cx = Context::offline(root.host()).with_http(Arc::new(Service::answers(200, document.to_string())));
    run(collector(name), cx).await
}

async fn facts(name: &str, document: impl ToString) -> Facts {
    match ask(name, document).await {
        Outcome::Collected(facts) => facts,
        outcome => panic!("{outcome:?}"),
    }
}

/// A document with one public interface, and with these changes: paths as `/interfaces/public/0/anchor_ipv4`.
fn document(changes: &[(&str, Value)]) -> Value {
    let mut document = json!({
        "droplet_id": 289_794_365, "hostname": "h", "vendor_data": "x", "public_keys": [], "auth_key": "k",
        "region": "nyc3", "dns": {"nameservers": ["67.207.67.2"]},
        "floating_ip": {"ipv4": {"active": false}}, "reserved_ip": {"ipv4": {"active": false}},
        "tags": null, "features": {"dhcp_enabled": false},
        "interfaces": {"public": [{
            "ipv4": {"ip_address": "203.0.113.10", "netmask": "255.255.240.0", "gateway": "203.0.113.1"},
            "anchor_ipv4": {"ip_address": "10.17.0.9", "netmask": "255.255.0.0", "gateway": "10.17.0.1"}
        }]}
    });
    for (path, value) in changes {
        *document.pointer_mut(path).unwrap() = value.clone();
    }
    document
}

const ANCHOR: &str = "/interfaces/public/0/anchor_ipv4";

#[tokio::test]
async fn a_secondary_field_of_another_type_is_left_out() {
    let whole = facts("digital-ocean-anchor-ip", document(&[])).await;
    for (path, value, lost) in [
        ("/region", json!({"slug": "nyc3"}), &["region"][..]),
        ("/region", json!(3), &["region"]),
        ("/reserved_ip", json!(""), &[]),
        ("/reserved_ip", json!("none"), &["reserved-ip"]),
        ("/floating_ip", json!([]), &[]),
        ("/droplet_id", json!({}), &["droplet-id"]),
        ("/droplet_id", json!(-1), &["droplet-id"]),
        ("/interfaces/public/0/anchor_ipv4/netmask", json!(16), &["netmask"]),
        ("/interfaces/public/0/anchor_ipv4/gateway", json!(1), &["gateway"]),
        ("/interfaces/public/0/anchor_ipv4/gateway", json!("none"), &["gateway"]),
        ("/interfaces/public/0/ipv4", json!("none"), &[]),
        ("/tags", json!({"a": 1}), &[]),
        ("/features", json!("none"), &[]),
    ] {
        let facts = facts("digital-ocean-anchor-ip", document(&[(path, value.clone())])).await;
        assert_eq!(left_out(&facts), lost, "{path} {value}");
        for (name, value) in whole.iter() {
            let expected = (!lost.contains(&name.unwrap_or_default())).then_some(value);
            assert_eq!(facts.get(name), expected, "{path}: {name:?}");
        }
    }
}

#[tokio::test]
async fn an_anchor_address_of_another_type_is_a_failure() {
    for (path, value, why) in [
        (ANCHOR, json!("10.17.0.9"), "its fields are not those of a Droplet"),
        ("/interfaces", json!("none"), "its fields are not those of a Droplet"),
        ("/interfaces/public", json!({}), "its fields are not those of a Droplet"),
        (
            "/interfaces/public/0/anchor_ipv4/ip_address",
            json!(10),
            "its anchor address is not an IPv4 address",
        ),
        (
            "/interfaces/public/0/anchor_ipv4/ip_address",
            json!("fe80::1"),
            "its anchor address is not an IPv4 address",
        ),
    ] {
        let outcome = ask("digital-ocean-anchor-ip", document(&[(path, value)])).await;
        let expected = format!("the answer is not the JSON of the metadata service: {why}");
        assert_eq!(outcome.error().as_deref(), Some(expected.as_str()));
    }
}

#[tokio::test]
async fn a_droplet_without_an_anchor_address_has_no_facts_of_one() {
    for anchor in [json!(null), json!({}), json!(""), json!({"ip_address": ""})] {
        let outcome = ask("digital-ocean-anchor-ip", document(&[(ANCHOR, anchor)])).await;
        assert_eq!(outcome, Outcome::NotApplicable("the Droplet has no anchor address".to_owned()));
    }
    for public in [json!(null), json!([]), json!([{}])] {
        let outcome = ask("digital-ocean-anchor-ip", document(&[("/interfaces/public", public)])).await;
        assert_eq!(outcome, Outcome::NotApplicable("the Droplet has no anchor address".to_owned()));
    }
}

#[tokio::test]
async fn what_does_not_hang_on_the_anchor_is_told_without_one() {
    let reserved = json!({"ipv4": {"active": true, "ip_address": "198.51.100.7"}});
    let facts = facts("digital-ocean", document(&[(ANCHOR, json!(null)), ("/reserved_ip", reserved)])).await;
    let told: Vec<_> = facts.iter().collect();
    let expected = [
        (None, "289794365"),
        (Some("dhcp-enabled"), "false"),
        (Some("public-ipv4"), "203.0.113.10"),
        (Some("region"), "nyc3"),
        (Some("reserved-ipv4"), "198.51.100.7"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_reserved_ipv6_address_counts_while_it_is_assigned() {
    for (ipv6, address) in [
        (json!({"active": true, "ip_address": "2001:db8:5::1"}), Some("2001:db8:5::1")),
        (json!({"active": true, "ip_address": "2001:0DB8:5:0::1"}), Some("2001:db8:5::1")),
        (json!({"active": false, "ip_address": "2001:db8:5::1"}), None),
    ] {
        let reserved = json!({"ipv4": {"active": false}, "ipv6": ipv6});
        let facts = facts("digital-ocean", document(&[("/reserved_ip", reserved)])).await;
        assert_eq!(facts.get(Some("reserved-ipv6")), address);
    }
}

#[tokio::test]
async fn odd_fields_take_no_other_fact_of_a_droplet_away() {
    for (path, value, lost) in [
        ("/region", json!([]), &["region"][..]),
        ("/interfaces", json!("none"), &["private-ipv4", "public-ipv4", "public-ipv6"]),
        ("/interfaces/public", json!([7]), &["public-ipv4", "public-ipv6"]),
        ("/interfaces/public/0/ipv4/ip_address", json!("10.0.0.256"), &["public-ipv4"]),
        ("/reserved_ip", json!(7), &["reserved-ipv4", "reserved-ipv6"]),
        ("/features/dhcp_enabled", json!("no"), &["dhcp-enabled"]),
    ] {
        let facts = facts("digital-ocean", document(&[(path, value.clone())])).await;
        assert_eq!(facts.get(None), Some("289794365"));
        assert_eq!(left_out(&facts), lost, "{path} {value}");
    }
    let outcome = ask("digital-ocean", document(&[("/droplet_id", json!(null))])).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
}

/// A prefix length says as much as a netmask does.
#[tokio::test]
async fn an_anchor_address_with_a_prefix_length_is_an_address() {
    let facts =
        facts("digital-ocean-anchor-ip", document(&[(ANCHOR, json!({"ip_address": "10.17.0.9/16"}))])).await;
    assert_eq!(facts.get(None), Some(Ipv4Addr::new(10, 17, 0, 9).to_string().as_str()));
    assert_eq!(facts.get(Some("netmask")), Some("255.255.0.0"));
}

#[tokio::test]
async fn the_largest_user_data_is_no_failure() {
    // JSON writes a control character in six bytes.
    let data = "\u{1}".repeat(64 * 1024);
    let mut document = document(&[]);
    document["user_data"] = json!(data);
    document["vendor_data"] = json!(data);
    assert!(document.to_string().len() > 768 * 1024);
    for name in ["digital-ocean-anchor-ip", "digital-ocean"] {
        assert_eq!(facts(name, &document).await.get(Some("region")), Some("nyc3"));
    }
}

#[tokio::test]
async fn a_document_without_end_is_not_blamed_on_a_network_policy() {
    let mut document = document(&[]).to_string();
    write!(document, "{}", " ".repeat(1024 * 1024)).unwrap();
    let Outcome::Failed { error, hint, .. } = ask("digital-ocean", document).await else {
        panic!("it is too long")
    };
    assert_eq!(
        error,
        "cannot ask the metadata service of DigitalOcean: the answer is longer than 1048576 bytes"
    );
    assert_eq!(
        hint.unwrap(),
        "is something else answering in its place, or is `DIGITAL_OCEAN_METADATA_URL` wrong?"
    );
}

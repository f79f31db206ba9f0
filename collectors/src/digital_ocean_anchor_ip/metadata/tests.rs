//! Bodies that were seen in the wild, and some that were not.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "sentinel-5f2c";

fn facts(body: &str) -> Facts {
    match parse(body.as_bytes()).unwrap() {
        Collected::Facts(facts) => facts,
        Collected::NotApplicable(reason) => panic!("{reason}"),
    }
}

fn is_not_applicable(body: &str) -> bool {
    matches!(parse(body.as_bytes()), Ok(Collected::NotApplicable(_)))
}

/// A document whose first public interface has an anchor address, with further fields behind it.
fn droplet(more: &str) -> String {
    let anchor =
        r#"{"anchor_ipv4":{"ip_address":"10.17.0.9","netmask":"255.255.0.0","gateway":"10.17.0.1"}}"#;
    format!(r#"{{"interfaces":{{"public":[{anchor}]}}{more}}}"#)
}

#[test]
fn numbers_and_texts_are_droplet_ids() {
    assert_eq!(facts(&droplet(r#","droplet_id":2756294"#)).get(Some("droplet-id")), Some("2756294"));
    assert_eq!(facts(&droplet(r#","droplet_id":"2756294""#)).get(Some("droplet-id")), Some("2756294"));
    assert_eq!(facts(&droplet(r#","droplet_id":null"#)).get(Some("droplet-id")), None);
    assert_eq!(facts(&droplet(r#","tags":null"#)).get(Some("droplet-id")), None);
}

#[test]
fn a_document_in_a_list_is_the_document() {
    assert_eq!(facts(&format!(" [{}]", droplet(""))), facts(&droplet("")));
    assert_eq!(parse(b"[]"), Err(Malformed::Shape));
}

#[test]
fn the_reserved_ip_counts_while_it_is_assigned() {
    for (more, address) in [
        (r#","reserved_ip":{"ipv4":{"active":true,"ip_address":"203.0.113.25"}}"#, Some("203.0.113.25")),
        (r#","floating_ip":{"ipv4":{"active":true,"ip_address":"203.0.113.25"}}"#, Some("203.0.113.25")),
        (r#","reserved_ip":{"ipv4":{"active":false,"ip_address":"203.0.113.25"}}"#, None),
        (r#","reserved_ip":{"ipv4":{"active":false}},"floating_ip":{"ipv4":{"active":false}}"#, None),
        (r#","reserved_ip":null,"floating_ip":{}"#, None),
        (r#","reserved_ip":{"ipv4":{"active":true,"ip_address":"none"}}"#, None),
    ] {
        assert_eq!(facts(&droplet(more)).get(Some("reserved-ip")), address, "{more}");
    }
}

#[test]
fn a_droplet_without_an_anchor_address_has_no_facts() {
    for public in [
        "",
        r#""public":null"#,
        r#""public":[]"#,
        r#""public":[{}]"#,
        r#""public":[{"anchor_ipv4":null}]"#,
        r#""public":[{"anchor_ipv4":{}}]"#,
        r#""public":[{"anchor_ipv4":{"ip_address":""}}]"#,
    ] {
        assert!(is_not_applicable(&format!(r#"{{"droplet_id":1,"interfaces":{{{public}}}}}"#)), "{public}");
    }
}

#[test]
fn the_first_of_several_interfaces_counts() {
    let interface = |address| format!(r#"{{"anchor_ipv4":{{"ip_address":"{address}"}}}}"#);
    let public = [interface("10.17.0.9"), interface("10.17.0.10")].join(",");
    let body = format!(r#"{{"interfaces":{{"public":[{public}]}}}}"#);
    assert_eq!(facts(&body).get(None), Some("10.17.0.9"));
}

#[test]
fn a_malformed_body_says_how_and_quotes_nothing() {
    let document = droplet(&format!(r#","user_data":"{SECRET}""#));
    let truncated = &document[..document.len() - 3];
    for (body, malformed) in [
        (truncated, Malformed::Truncated),
        ("", Malformed::Truncated),
        ("<html>sentinel-5f2c</html>", Malformed::Syntax),
        (r#""sentinel-5f2c""#, Malformed::Shape),
        ("{}", Malformed::Shape),
        (r#"{"interfaces":"sentinel-5f2c"}"#, Malformed::Shape),
        (r#"{"interfaces":{"public":[{"anchor_ipv4":{"ip_address":"sentinel-5f2c"}}]}}"#, Malformed::Address),
    ] {
        let error = parse(body.as_bytes()).unwrap_err();
        assert_eq!(error, malformed, "{body}");
        assert!(!format!("{error} {error:?}").contains(SECRET));
    }
}

#[test]
fn secrets_are_not_decoded() {
    let secrets =
        ["auth_key", "user_data", "vendor_data", "hostname"].map(|key| format!(r#","{key}":"{SECRET}""#));
    let body = droplet(&format!(r#"{},"public_keys":["{SECRET}"]"#, secrets.concat()));
    let metadata = decode(body.as_bytes()).unwrap();
    assert!(!format!("{metadata:?}").contains(SECRET));
    assert!(!format!("{:?}", facts(&body)).contains(SECRET));
}

proptest! {
    #[test]
    fn any_body_is_read_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body);
    }

    #[test]
    fn any_cut_of_a_document_is_truncated(length in 0usize..110) {
        let document = droplet("");
        prop_assert!(length < document.len());
        prop_assert_eq!(parse(&document.as_bytes()[..length]), Err(Malformed::Truncated));
    }
}

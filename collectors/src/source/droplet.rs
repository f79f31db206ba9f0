//! The document of DigitalOcean's metadata service, as far as it may be decoded.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use node_annotator_core::{CollectError, Collected, Context, Variable};
use serde::Deserialize;

use super::cloud;
use super::metadata::{Field, Malformed, NumberOrText, Odd, Service, Session};

/// The variable with the address of the document.
pub(crate) const URL: Variable = Variable::operator(
    "DIGITAL_OCEAN_METADATA_URL",
    "http:// address of the metadata document; set, the node is taken for a Droplet whatever its firmware says",
);

const DEFAULT_URL: &str = "http://169.254.169.254/metadata/v1.json";

/// What tells the cloud, and the service.
pub(crate) const SOURCES: [&str; 7] = cloud::sources(&[DEFAULT_URL]);

static SERVICE: Service = Service {
    default_url: DEFAULT_URL,
    // More than a document can have: user data and vendor data of 64 KiB each, every byte of them escaped in
    // JSON.
    max_body_bytes: 1024 * 1024,
    ..Service::new("digital-ocean", "DigitalOcean", MACHINE, URL)
};

pub(crate) const MACHINE: &str = "a Droplet";

/// The facts of a Droplet by its document; on other machines nobody is asked.
pub(crate) async fn collect(
    cx: &Context,
    facts: fn(&Metadata) -> Result<Collected, Malformed>,
) -> Result<Collected, CollectError> {
    let decoded = async |session: Session| {
        let body = session.required("").await?;
        Metadata::decode(&body).and_then(|metadata| facts(&metadata)).map_err(Service::malformed)
    };
    SERVICE.collect(cx, decoded).await
}

/// The fields that are needed. The document also holds `auth_key`, `user_data`, `vendor_data` and
/// `public_keys`: as long as no field here names them, they are skipped without being stored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    pub(crate) droplet_id: Field<NumberOrText>,
    pub(crate) region: Field<String>,
    pub(crate) interfaces: Field<Interfaces>,
    pub(crate) features: Field<Features>,
    reserved_ip: Field<ReservedIp>,
    floating_ip: Field<ReservedIp>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Interfaces {
    pub(crate) public: Field<Vec<Field<Interface>>>,
    pub(crate) private: Field<Vec<Field<Interface>>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Interface {
    pub(crate) anchor_ipv4: Field<Addressing>,
    pub(crate) ipv4: Field<Addressing>,
    pub(crate) ipv6: Field<Addressing>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Addressing {
    pub(crate) ip_address: Field<String>,
    pub(crate) gateway: Field<String>,
    pub(crate) netmask: Field<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Features {
    pub(crate) dhcp_enabled: Field<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ReservedIp {
    ipv4: Field<Assignment>,
    ipv6: Field<Assignment>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Assignment {
    active: Field<bool>,
    ip_address: Field<String>,
}

impl Metadata {
    /// Decodes a body. Some samples wrap the document in a list.
    fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let malformed = |error| Malformed::of(&error, MACHINE);
        if body.trim_ascii_start().first() == Some(&b'[') {
            let list: Vec<Self> = serde_json::from_slice(body).map_err(malformed)?;
            return list.into_iter().next().ok_or(Malformed::Shape(MACHINE));
        }
        serde_json::from_slice(body).map_err(malformed)
    }

    /// The number of the Droplet.
    pub(crate) fn droplet_id(&self) -> Result<Option<u64>, Odd> {
        self.droplet_id.clone().number("droplet_id")
    }

    /// The reserved IPv4 address, while it is assigned to the Droplet. It was called floating before 2022.
    pub(crate) fn reserved_ipv4(&self) -> Result<Option<Ipv4Addr>, Odd> {
        match assigned(&self.reserved_ip, |reserved| reserved.ipv4, "reserved_ip") {
            Ok(None) => assigned(&self.floating_ip, |floating| floating.ipv4, "floating_ip"),
            Ok(address) => Ok(address),
            Err(odd) => match assigned(&self.floating_ip, |floating| floating.ipv4, "floating_ip") {
                Ok(Some(address)) => Ok(Some(address)),
                _ => Err(odd),
            },
        }
    }

    /// The reserved IPv6 address, while it is assigned to the Droplet.
    pub(crate) fn reserved_ipv6(&self) -> Result<Option<Ipv6Addr>, Odd> {
        assigned(&self.reserved_ip, |reserved| reserved.ipv6, "reserved_ip")
    }

    /// The first public or private interface.
    pub(crate) fn first(
        &self,
        side: fn(Interfaces) -> Field<Vec<Field<Interface>>>,
    ) -> Result<Interface, Odd> {
        let Some(interfaces) = self.interfaces.clone().told("interfaces")? else {
            return Ok(Interface::default());
        };
        let list = side(interfaces).told("interfaces")?.unwrap_or_default();
        match list.into_iter().next() {
            Some(interface) => Ok(interface.told("interfaces")?.unwrap_or_default()),
            None => Ok(Interface::default()),
        }
    }
}

fn assigned<V: FromStr>(
    reserved: &Field<ReservedIp>,
    family: fn(ReservedIp) -> Field<Assignment>,
    name: &'static str,
) -> Result<Option<V>, Odd> {
    let Some(reserved) = reserved.clone().told(name)? else { return Ok(None) };
    let Some(Assignment { active, ip_address }) = family(reserved).told(name)? else { return Ok(None) };
    if active.told(name)? == Some(true) { ip_address.parsed(name) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "sentinel-5f2c";

    #[test]
    fn secrets_are_not_decoded() {
        let secrets =
            ["auth_key", "user_data", "vendor_data", "hostname"].map(|key| format!(r#""{key}":"{SECRET}","#));
        let body = format!(r#"{{{}"public_keys":["{SECRET}"],"region":{{"{SECRET}":1}}}}"#, secrets.concat());
        let metadata = Metadata::decode(body.as_bytes()).unwrap();
        assert!(!format!("{metadata:?}").contains(SECRET));
    }

    #[test]
    fn a_malformed_body_says_how_and_quotes_nothing() {
        for (body, malformed) in [
            (r#"{"region":"nyc3","user_data":"sentinel-5f2c"#, Malformed::Truncated),
            ("", Malformed::Truncated),
            ("<html>sentinel-5f2c</html>", Malformed::Syntax),
            (r#""sentinel-5f2c""#, Malformed::Shape(MACHINE)),
            ("[]", Malformed::Shape(MACHINE)),
        ] {
            let error = Metadata::decode(body.as_bytes()).unwrap_err();
            assert_eq!(error, malformed, "{body}");
            assert!(!format!("{error} {error:?}").contains(SECRET));
        }
    }

    #[test]
    fn the_reserved_ip_counts_while_it_is_assigned() {
        let address = Some(Ipv4Addr::new(203, 0, 113, 25));
        for (more, expected) in [
            (r#""reserved_ip":{"ipv4":{"active":true,"ip_address":"203.0.113.25"}}"#, Ok(address)),
            (r#""floating_ip":{"ipv4":{"active":true,"ip_address":"203.0.113.25"}}"#, Ok(address)),
            (
                r#""reserved_ip":1,"floating_ip":{"ipv4":{"active":true,"ip_address":"203.0.113.25"}}"#,
                Ok(address),
            ),
            (r#""reserved_ip":{"ipv4":{"active":false,"ip_address":"203.0.113.25"}}"#, Ok(None)),
            (r#""reserved_ip":{"ipv4":{"active":false}},"floating_ip":{"ipv4":{"active":false}}"#, Ok(None)),
            (r#""reserved_ip":null,"floating_ip":{}"#, Ok(None)),
            (r#""reserved_ip":"","floating_ip":"""#, Ok(None)),
            (r#""reserved_ip":{"ipv4":"none"}"#, Err(Odd::Type("reserved_ip"))),
            (r#""reserved_ip":{"ipv4":{"active":"yes"}}"#, Err(Odd::Type("reserved_ip"))),
            (r#""reserved_ip":{"ipv4":{"active":true,"ip_address":"none"}}"#, Err(Odd::Value("reserved_ip"))),
        ] {
            let metadata = Metadata::decode(format!("{{{more}}}").as_bytes()).unwrap();
            assert_eq!(metadata.reserved_ipv4(), expected, "{more}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Metadata::decode(&body);
        }

        #[test]
        fn any_cut_of_a_document_is_truncated(length in 0usize..60) {
            let document = r#" [{"region":"nyc3","droplet_id":"2756294","interfaces":{"public":[]}}]"#;
            prop_assert!(length < document.len());
            let error = Metadata::decode(&document.as_bytes()[..length]).unwrap_err();
            prop_assert_eq!(error, Malformed::Truncated);
        }
    }
}

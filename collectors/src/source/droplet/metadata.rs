//! The document of DigitalOcean's metadata service, as far as it may be decoded.

use std::net::Ipv4Addr;

use node_annotator_core::{Collected, Facts};
use serde::{Deserialize, Deserializer};

use super::{DROPLET_ID, GATEWAY, NETMASK, REGION, RESERVED_IP};

/// The fields that are needed. The document also holds `auth_key`, `user_data`, `vendor_data` and `public_keys`: as long as no
/// field here names them, they are skipped without being stored.
#[derive(Debug, Deserialize)]
struct Metadata {
    #[serde(default, deserialize_with = "number_or_text")]
    droplet_id: Option<String>,
    region: Option<String>,
    interfaces: Interfaces,
    reserved_ip: Option<ReservedIp>,
    floating_ip: Option<ReservedIp>,
}

#[derive(Debug, Deserialize)]
struct Interfaces {
    public: Option<Vec<Interface>>,
}

#[derive(Debug, Deserialize)]
struct Interface {
    anchor_ipv4: Option<Anchor>,
}

#[derive(Debug, Deserialize)]
struct Anchor {
    ip_address: Option<String>,
    gateway: Option<String>,
    netmask: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ReservedIp {
    ipv4: Option<Assignment>,
}

#[derive(Debug, Deserialize)]
struct Assignment {
    active: Option<bool>,
    ip_address: Option<String>,
}

/// Why a body is no metadata document. Deliberately without the parser's own words, which quote the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It ends in the middle.
    Truncated,
    /// It is not JSON.
    Syntax,
    /// It is JSON of another shape.
    Shape,
    /// The anchor address is there, and is not an IPv4 address.
    Address,
}

impl std::error::Error for Malformed {}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Truncated => "it ends too early",
            Self::Syntax => "it is not JSON at all",
            Self::Shape => "its fields are not those of a Droplet",
            Self::Address => "its anchor address is not an IPv4 address",
        })
    }
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        use serde_json::error::Category;
        match error.classify() {
            Category::Eof => Self::Truncated,
            Category::Syntax | Category::Io => Self::Syntax,
            Category::Data => Self::Shape,
        }
    }
}

/// The facts of a document. A Droplet without an anchor address has none: one made of a custom image, or before October 2015.
pub(super) fn parse(body: &[u8]) -> Result<Collected, Malformed> {
    let metadata = decode(body)?;
    let public = metadata.interfaces.public.unwrap_or_default();
    let Some(anchor) = public.into_iter().find_map(|interface| interface.anchor_ipv4) else {
        return Ok(Collected::not_applicable("the Droplet has no anchor address"));
    };
    let Some(address) = anchor.ip_address.filter(|text| !text.is_empty()) else {
        return Ok(Collected::not_applicable("the Droplet has no anchor address"));
    };
    let address = ipv4(Some(address)).ok_or(Malformed::Address)?;
    let reserved = [metadata.reserved_ip, metadata.floating_ip].into_iter().flatten().find_map(assigned);
    Ok(Facts::new(address.to_string())
        .with_some(&GATEWAY, ipv4(anchor.gateway))
        .with_some(&NETMASK, ipv4(anchor.netmask))
        .with_some(&DROPLET_ID, metadata.droplet_id)
        .with_some(&REGION, metadata.region)
        .with_some(&RESERVED_IP, reserved)
        .into())
}

/// Some samples wrap the document in a list.
fn decode(body: &[u8]) -> Result<Metadata, Malformed> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        let list: Vec<Metadata> = serde_json::from_slice(body)?;
        return list.into_iter().next().ok_or(Malformed::Shape);
    }
    Ok(serde_json::from_slice(body)?)
}

fn assigned(reserved: ReservedIp) -> Option<Ipv4Addr> {
    let assignment = reserved.ipv4?;
    if assignment.active == Some(true) { ipv4(assignment.ip_address) } else { None }
}

fn ipv4(text: Option<String>) -> Option<Ipv4Addr> {
    text?.trim().parse().ok()
}

fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    use serde_json::Value;
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text),
        _ => None,
    })
}

#[cfg(test)]
mod tests;

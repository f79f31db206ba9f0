//! Whether the environment sends a connection through a proxy, by the rules that kubectl follows.

use std::net::IpAddr;

use http::Uri;

/// The proxy that the environment wants for this server.
pub(super) fn from_environment(server: &Uri, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let either = |upper: &str, lower: &str| {
        [upper, lower].into_iter().find_map(|name| variable(name).filter(|value| !value.is_empty()))
    };
    let proxy = match server.scheme_str() {
        Some("http") => either("HTTP_PROXY", "http_proxy"),
        _ => either("HTTPS_PROXY", "https_proxy"),
    }?;
    let host = server.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_lowercase();
    let exceptions = either("NO_PROXY", "no_proxy").unwrap_or_default().to_lowercase();
    (!is_local(&host) && !exceptions.split(',').any(|rule| covers(rule.trim(), &host, port(server))))
        .then_some(proxy)
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn port(server: &Uri) -> u16 {
    server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 })
}

/// Whether one entry of `NO_PROXY` names the host: all, a network, an address or a domain, the last two with
/// a port if need be.
fn covers(rule: &str, host: &str, port: u16) -> bool {
    if rule.is_empty() || rule == "*" {
        return rule == "*";
    }
    if let Some((network, length)) = rule.split_once('/') {
        return in_network(network, length, host).unwrap_or_default();
    }
    let (name, only) = match rule.rsplit_once(':') {
        Some((name, only)) if !name.contains(':') || name.ends_with(']') => (name, only.parse().ok()),
        _ => (rule, None),
    };
    if only.is_some_and(|only: u16| only != port) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if let (Ok(name), Ok(host)) = (name.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        return name == host;
    }
    let domain = name.trim_start_matches('*');
    match domain.strip_prefix('.') {
        // Names below it alone.
        Some(_) => host.ends_with(domain),
        None => host == domain || host.strip_suffix(domain).is_some_and(|below| below.ends_with('.')),
    }
}

fn in_network(network: &str, length: &str, host: &str) -> Option<bool> {
    let length: u32 = length.parse().ok()?;
    let (network, host, bits) = match (network.parse().ok()?, host.parse().ok()?) {
        (IpAddr::V4(network), IpAddr::V4(host)) => {
            (u128::from(network.to_bits()), u128::from(host.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(host)) => (network.to_bits(), host.to_bits(), 128),
        _ => return None,
    };
    // A shift by all bits is none that Rust makes.
    let differ = (network ^ host).checked_shr(bits - length.min(bits)).unwrap_or_default();
    Some(length <= bits && differ == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_those_of_kubectl() {
        let cases = [
            ("https://10.0.0.1:6443", "", true),
            ("https://10.0.0.1:6443", "*", false),
            ("https://10.0.0.1:6443", "10.0.0.1", false),
            ("https://10.0.0.1:6443", "10.0.0.1:6443", false),
            ("https://10.0.0.1:6443", "10.0.0.1:443", true),
            ("https://10.0.0.1:6443", "192.168.0.0/16, 10.0.0.0/8", false),
            ("https://10.0.0.1:6443", "10.1.0.0/16", true),
            ("https://10.0.0.1:6443", "0.0.0.0/0", false),
            ("https://10.0.0.1:6443", "10.0.0.0/33", true),
            ("https://[fd00::1]:6443", "fd00::/8", false),
            ("https://[fd00::1]:6443", "[fd00::1]:6443", false),
            ("https://[fd00::1]:6443", "fd00::1", false),
            ("https://api.Example.com", "example.COM", false),
            ("https://api.example.com", ".example.com", false),
            ("https://api.example.com", "*.example.com:443", false),
            ("https://example.com", ".example.com", true),
            ("https://badexample.com", "example.com", true),
            ("https://127.0.0.1:6443", "", false),
            ("https://[::1]:6443", "", false),
            ("https://localhost:6443", "", false),
        ];
        for (server, exceptions, proxied) in cases {
            let variable = |name: &str| match name {
                "https_proxy" => Some("http://proxy:3128".to_owned()),
                "NO_PROXY" => Some(exceptions.to_owned()),
                _ => None,
            };
            let proxy = from_environment(&server.parse().unwrap(), variable);
            assert_eq!(proxy.is_some(), proxied, "{server} {exceptions}");
        }
        let plain = from_environment(&"http://10.0.0.1".parse().unwrap(), |name| {
            (name == "HTTPS_PROXY").then(|| "http://proxy".to_owned())
        });
        assert_eq!(plain, None);
    }
}

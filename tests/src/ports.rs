//! Free loopback ports that stay free while a server is away for a moment.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Result, bail};

static TAKEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

const LOWEST: u16 = 10_000;

/// A port that nobody listens on now.
///
/// It lies below the range from which the kernel takes the ports of outgoing connections: one of those would block an API
/// server that is restarted on its port. Another process may still take it first; who starts a server tries again then.
pub(crate) fn free_port() -> Result<u16> {
    let end = ephemeral_start().max(LOWEST + 1000);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1000 {
        let port = LOWEST + u16::try_from(random() % u64::from(end - LOWEST))?;
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    bail!("no free port between {LOWEST} and {end}")
}

/// A number that nobody guesses: the standard library seeds its hasher from the kernel's randomness.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

fn ephemeral_start() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ() {
        let ports: HashSet<_> = (0..20).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 20);
    }
}

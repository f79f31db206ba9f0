//! Free loopback ports that stay free while a server is away for a moment.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

const LOWEST: u16 = 10_000;

/// A port of 127.0.0.1 that no other cluster takes while this lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    /// The same port of another loopback address: the lock that all processes with this harness respect.
    /// Without it, two of them could pick the same port, and one would talk to the other's etcd.
    _lock: TcpListener,
}

impl Port {
    /// Reserves a port that nobody listens on now.
    ///
    /// It lies below the range from which the kernel takes the ports of outgoing connections: one of those
    /// would block an API server that is restarted on its port. Anything but this harness may still take it
    /// first; who starts a server tries again then.
    pub(crate) fn reserve() -> Result<Self> {
        let end = ephemeral_start().max(LOWEST + 1000);
        for _ in 0..1000 {
            let number = LOWEST + u16::try_from(random() % u64::from(end - LOWEST))?;
            let Ok(lock) = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), number)) else { continue };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no free port between {LOWEST} and {end}")
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ports_differ_and_are_free() {
        let ports: Vec<_> = (0..20).map(|_| Port::reserve().unwrap()).collect();
        let numbers: HashSet<_> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 20);
        for port in ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        }
    }
}

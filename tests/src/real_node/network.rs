//! Ways between the machine's loopback and the network of a node, which has no other.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

use super::namespaces::in_network_of;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_HEAD: usize = 4096;

/// Brings connections to an address of a node to one of the machine. Ends when dropped.
#[derive(Debug)]
pub(super) struct Forward(JoinHandle<()>);

impl Forward {
    /// `init` is the node's PID 1.
    pub(super) fn start(init: u32, inside: SocketAddr, outside: SocketAddr) -> Result<Self> {
        let listener = in_network_of(init, || {
            let listener = StdTcpListener::bind(inside)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.with_context(|| format!("cannot listen on {inside} of the node"))?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Self(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((mut inner, _)) = listener.accept().await else { continue };
                while connections.try_join_next().is_some() {}
                connections.spawn(async move {
                    // Who is refused outside sees a connection that ends.
                    if let Ok(mut outer) = TcpStream::connect(outside).await {
                        let _ = copy_bidirectional(&mut inner, &mut outer).await;
                    }
                });
            }
        })))
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// PID 1 of each node that runs, by the first three parts of its addresses.
pub(super) type Networks = Arc<Mutex<HashMap<[u8; 3], u32>>>;

/// The network that an address is in.
pub(super) fn network_of(address: Ipv4Addr) -> [u8; 3] {
    let [a, b, c, _] = address.octets();
    [a, b, c]
}

/// Connects the API server with kubelets and pods, as an HTTP proxy on a socket file. Ends when dropped.
#[derive(Debug)]
pub(super) struct Egress(JoinHandle<()>);

impl Egress {
    pub(super) fn start(socket: &Path, networks: Networks) -> Result<Self> {
        let listener =
            UnixListener::bind(socket).with_context(|| format!("cannot listen on `{}`", socket.display()))?;
        Ok(Self(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                while connections.try_join_next().is_some() {}
                let networks = networks.clone();
                connections.spawn(async move {
                    if let Err(error) = tunnel(stream, &networks).await {
                        tracing::debug!("the API server was not connected: {error:#}");
                    }
                });
            }
        })))
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn tunnel(mut stream: UnixStream, networks: &Networks) -> Result<()> {
    let target = read_target(&mut stream).await?;
    match dial(target, networks).await {
        Ok(mut inner) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            copy_bidirectional(&mut stream, &mut inner).await?;
            Ok(())
        }
        Err(error) => {
            stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await?;
            Err(error)
        }
    }
}

/// The client says nothing more until it is answered.
async fn read_target(stream: &mut UnixStream) -> Result<SocketAddr> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < MAX_HEAD, "the request is too long");
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_whitespace();
    match (words.next(), words.next()) {
        (Some("CONNECT"), Some(target)) => {
            target.parse().with_context(|| format!("not an address: `{target}`"))
        }
        _ => bail!("not a CONNECT: `{}`", head.lines().next().unwrap_or_default()),
    }
}

async fn dial(target: SocketAddr, networks: &Networks) -> Result<TcpStream> {
    let SocketAddr::V4(address) = target else { bail!("no node has the address {target}") };
    let init = {
        let networks = networks.lock().unwrap_or_else(PoisonError::into_inner);
        networks.get(&network_of(*address.ip())).copied()
    };
    let init = init.with_context(|| format!("no node has the address {target}"))?;
    let connect = move || {
        in_network_of(init, || -> io::Result<_> {
            let stream = StdTcpStream::connect_timeout(&target, CONNECT_TIMEOUT)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        })
    };
    let stream = spawn_blocking(connect).await.map_err(|error| anyhow!(error))??;
    Ok(TcpStream::from_std(stream)?)
}

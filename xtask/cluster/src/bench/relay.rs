//! A relay on loopback that counts what goes through it: bytes on the wire, seen by neither end.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use node_annotator_tests::wait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(10);

/// What went over connections, TLS included and TCP's own headers not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    /// Connections that have ended.
    pub(super) connections: usize,
    /// Bytes from the client.
    pub(super) sent: usize,
    /// Bytes to the client.
    pub(super) received: usize,
    /// Pieces in which the client's bytes came: about its writes.
    pub(super) writes: usize,
}

/// The relay. Ends when dropped.
#[derive(Debug)]
pub(super) struct Relay {
    port: u16,
    ended: Arc<Mutex<Traffic>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Relays to an address of the form `https://127.0.0.1:6443`.
    pub(super) async fn start(server: &str) -> Result<Self> {
        let target: SocketAddr = server.trim_start_matches("https://").parse().context("no address")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen")?;
        let port = listener.local_addr()?.port();
        let ended = Arc::<Mutex<Traffic>>::default();
        let counts = Arc::clone(&ended);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counts = Arc::clone(&counts);
                tokio::spawn(async move {
                    if let Ok(traffic) = relay(client, target).await {
                        let mut all = counts.lock().unwrap_or_else(PoisonError::into_inner);
                        all.connections += 1;
                        all.sent += traffic.sent;
                        all.received += traffic.received;
                        all.writes += traffic.writes;
                    }
                });
            }
        });
        Ok(Self { port, ended, task })
    }

    /// `127.0.0.1:PORT`: the certificate of the API server fits it, since ports are not in certificates.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What `work` sends and receives, once this many connections have ended.
    pub(super) async fn count(
        &self,
        connections: usize,
        work: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<Traffic> {
        *self.ended() = Traffic::default();
        work().await?;
        wait::until_within(PATIENCE, "connections to end", async || {
            let traffic = *self.ended();
            if traffic.connections >= connections { Ok(traffic) } else { Err(format!("{traffic:?}")) }
        })
        .await
    }

    fn ended(&self) -> std::sync::MutexGuard<'_, Traffic> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(client: TcpStream, target: SocketAddr) -> std::io::Result<Traffic> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (up, down) = tokio::join!(pump(from_client, to_server), pump(from_server, to_client));
    Ok(Traffic { connections: 1, sent: up.0, received: down.0, writes: up.1 })
}

/// Bytes and pieces until the end, whichever way it comes.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> (usize, usize) {
    let (mut bytes, mut pieces) = (0, 0);
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        bytes += length;
        pieces += 1;
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
    (bytes, pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_ways_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = [0; 5];
            stream.read_exact(&mut received).await.unwrap();
            stream.write_all(b"answer").await.unwrap();
        });
        let relay = Relay::start(&server).await.unwrap();
        let traffic = relay.count(1, async || {
            let mut stream = TcpStream::connect(relay.address()).await?;
            stream.write_all(b"hello").await?;
            stream.read_to_end(&mut Vec::new()).await?;
            Ok(())
        });
        let expected = Traffic { connections: 1, sent: 5, received: 6, writes: 1 };
        assert_eq!(traffic.await.unwrap(), expected);
    }
}

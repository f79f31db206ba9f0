//! A relay before the API server, whose connections can be cut.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use node_annotator_tests::Cluster;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Ends when dropped.
pub(super) struct Relay {
    kubeconfig: std::path::PathBuf,
    cut: watch::Sender<usize>,
    held: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Stands before the API server of a cluster, with a kubeconfig for those who go through it.
    pub(super) async fn start(cluster: &Cluster) -> Result<Self> {
        let server = cluster.control_plane().server();
        let target: SocketAddr = server.trim_start_matches("https://").parse().context("no address")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let text = std::fs::read_to_string(cluster.kubeconfig())?;
        let kubeconfig = cluster.folder().join(format!("through-{port}"));
        std::fs::write(&kubeconfig, text.replace(&server, &format!("https://127.0.0.1:{port}")))?;
        let cut = watch::Sender::new(0);
        let held = watch::Sender::new(false);
        let (cuts, holds) = (cut.clone(), held.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if *holds.borrow() {
                    continue;
                }
                let mut cut = cuts.subscribe();
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Ok(Self { kubeconfig, cut, held, task })
    }

    /// For those who go through it.
    pub(super) fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// Whether new connections are closed at once.
    pub(super) fn hold(&self, is_held: bool) {
        self.held.send_replace(is_held);
    }

    /// Cuts all connections that there are, without a word to either end.
    pub(super) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

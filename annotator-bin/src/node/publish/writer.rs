//! The writer of one Node: its connection is opened once, for all plans.

use std::fmt;

use kube::{Client, Config};
use node_annotator_core::Plan;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Patience, PublishError, Published, publish};
use crate::cluster::{self, ClusterError};
use crate::process::stop::Stop;

/// Writes plans on one Node.
#[derive(Debug)]
pub struct Writer<'a> {
    node: &'a str,
    patience: Patience,
    stop: &'a Stop,
    connection: Connection,
}

enum Connection {
    /// Dropping the set ends the task in it.
    Opening(JoinSet<Result<Client, ClusterError>>),
    Open(Client),
}

impl<'a> Writer<'a> {
    /// Starts to connect; `configuration` finds the cluster.
    ///
    /// A connection is no request: the API server hears nothing but the handshake before there is something
    /// to write.
    pub fn start(
        node: &'a str,
        patience: Patience,
        configuration: impl Future<Output = Result<Config, ClusterError>> + Send + 'static,
        stop: &'a Stop,
    ) -> Self {
        Self::over(node, patience, connect(configuration), stop)
    }

    /// The same with a client of the caller's.
    pub(in crate::node) fn over(
        node: &'a str,
        patience: Patience,
        client: impl Future<Output = Result<Client, ClusterError>> + Send + 'static,
        stop: &'a Stop,
    ) -> Self {
        let mut opening = JoinSet::new();
        opening.spawn(client);
        Self { node, patience, stop, connection: Connection::Opening(opening) }
    }

    /// The Node's name.
    pub fn node(&self) -> &'a str {
        self.node
    }

    /// Writes a plan, as [`publish`] does, once there is a connection.
    pub async fn write(&mut self, plan: &Plan, deadline: Instant) -> Result<Published, PublishError> {
        let client = tokio::select! {
            biased;
            () = self.stop.requested() => return Err(PublishError::Stopped(None)),
            client = timeout_at(deadline, self.connection.client()) => {
                client.unwrap_or(Err(PublishError::Unprepared))?
            }
        };
        publish(client, self.node, plan, deadline, self.patience, self.stop).await
    }
}

impl Connection {
    /// The client, once it is there.
    async fn client(&mut self) -> Result<Client, PublishError> {
        if let Self::Opening(opening) = self {
            let client = opening.join_next().await.expect("no plan is written after an error of the cluster");
            *self = Self::Open(client.expect("it does not panic").map_err(PublishError::Cluster)?);
        }
        match self {
            Self::Open(client) => Ok(client.clone()),
            Self::Opening(_) => Err(PublishError::Unprepared),
        }
    }
}

/// The client itself has nothing to show.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opening(_) => "Opening",
            Self::Open(_) => "Open",
        })
    }
}

/// Finds the cluster, and starts to connect.
async fn connect(
    configuration: impl Future<Output = Result<Config, ClusterError>>,
) -> Result<Client, ClusterError> {
    let config = configuration.await?;
    if cluster::has_credential_plugin(&config) {
        return cluster::client_off_thread(config).await;
    }
    cluster::connecting_client(config)
}

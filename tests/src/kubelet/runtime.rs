//! What it means to run a container: the seam between the simulated kubelet and the thing that is run.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use tokio::sync::oneshot;

/// Everything that a container is started with.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// The node it runs on.
    pub node: String,
    /// Namespace of its pod.
    pub namespace: String,
    /// Name of its pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// Its image, by which a runtime may tell versions apart.
    pub image: String,
    /// How often it was started before.
    pub restart: u32,
    /// Program and arguments, variables expanded. The program is empty when the pod leaves it to the image.
    pub command: Vec<String>,
    /// The pod's variables, then the simulator's, then the node's. When one is there twice, the last one
    /// holds.
    pub env: Vec<(String, String)>,
    /// Where it runs.
    pub working_directory: PathBuf,
    /// A file for what it writes to stdout.
    pub stdout: PathBuf,
    /// A file for what it writes to stderr.
    pub stderr: PathBuf,
    /// The file that stands for `/dev/termination-log`.
    pub termination_message: PathBuf,
}

impl ContainerSpec {
    /// Sets a variable, whether it was there or not.
    pub fn set_env(&mut self, name: &str, value: impl Into<String>) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
    }
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// What a kubelet reports: the exit code, or 128 and the signal.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// A way to make a container stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM, or what stands for it: the container may finish.
    Terminate,
    /// SIGKILL: it may not.
    Kill,
}

/// A way to run containers.
pub trait Runtime: fmt::Debug + Send + Sync {
    /// Starts one, and returns at once.
    fn start(&self, spec: ContainerSpec) -> Result<Running>;
}

/// Stops a container from anywhere; does nothing after its end.
pub type Stopper = Arc<dyn Fn(Stop) + Send + Sync>;

/// A container that was started. Killed when dropped.
pub struct Running {
    pid: Option<u32>,
    exited: oneshot::Receiver<Exit>,
    stopper: Stopper,
}

impl Running {
    /// What a [`Runtime`] returns: `exited` gets the end, `stopper` brings it about.
    pub fn new(pid: Option<u32>, exited: oneshot::Receiver<Exit>, stopper: Stopper) -> Self {
        Self { pid, exited, stopper }
    }

    /// The process, when it is one.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// A handle to stop it.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for its end, once. A runtime that loses a container reports it as killed.
    pub async fn exited(&mut self) -> Exit {
        (&mut self.exited).await.unwrap_or(Exit { code: 137, signal: Some(9) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        (self.stopper)(Stop::Kill);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("pid", &self.pid).finish_non_exhaustive()
    }
}

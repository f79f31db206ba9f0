//! One container from its first start to its last exit: start, wait, back off, start again, end when asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};
use kube::ResourceExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::environment::{self, Addresses, Resolved};
use super::events::{Event, What};
use super::node::SimulatedNode;
use super::runtime::{ContainerSpec, Exit, Running, Stop};
use super::status::{State, Termination};
use super::{Shared, Wish, locked};

/// As much of a termination message as a kubelet takes.
const MESSAGE_BYTES: usize = 4096;
/// As much of the logs as it takes for one.
const LOG_BYTES: usize = 2048;

/// The pauses before restarts: none before the first, then `initial`, doubling up to `max`.
///
/// A run of twice `max` starts over, as with a real kubelet.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Before the second restart.
    pub initial: Duration,
    /// The longest.
    pub max: Duration,
}

impl Backoff {
    /// A real kubelet's: 10 s to 5 min.
    pub const KUBERNETES: Self = Self { initial: Duration::from_secs(10), max: Duration::from_mins(5) };
    /// For tests, which have no time: 200 ms to 2 s.
    pub const QUICK: Self = Self { initial: Duration::from_millis(200), max: Duration::from_secs(2) };

    /// The pause before a restart, given the pause before the one before (`None` after the first start).
    fn after(self, previous: Option<Duration>, ran: Duration) -> Duration {
        match previous {
            Some(_) | None if ran > self.max * 2 => Duration::ZERO,
            None => Duration::ZERO,
            Some(Duration::ZERO) => self.initial,
            Some(previous) => (previous * 2).min(self.max),
        }
    }
}

/// When a container starts, and whether it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It has to succeed before the next one starts.
    Init,
    /// The next one starts when it has started.
    Sidecar,
    /// It starts when those before it have.
    Main,
}

/// A container of a pod, and where its state is shown.
pub(super) struct Supervised {
    pub(super) shared: Arc<Shared>,
    pub(super) node: Arc<SimulatedNode>,
    pub(super) pod: Arc<Pod>,
    pub(super) container: Container,
    pub(super) role: Role,
    pub(super) index: usize,
    pub(super) addresses: Addresses,
    pub(super) kubeconfig: Option<PathBuf>,
    pub(super) states: watch::Sender<Vec<State>>,
    pub(super) wish: watch::Receiver<Wish>,
}

impl Supervised {
    /// Returns when it will not be started again.
    pub(super) async fn run(mut self) {
        let mut pause = None;
        for restart in 0.. {
            let begin = Instant::now();
            let end = self.run_once(restart).await;
            let last = end.clone();
            self.show(|state| state.terminated(end));
            if self.must_stop() || !self.restarts(last.exit) {
                return;
            }
            let next = self.shared.backoff.after(pause, begin.elapsed());
            pause = Some(next);
            if !next.is_zero() {
                self.show(|state| state.backing_off(next));
            }
            let until = Instant::now() + next;
            tokio::select! {
                () = sleep_until(until) => {}
                () = stop_asked(&mut self.wish) => {}
            }
            if self.must_stop() {
                self.show(|state| state.terminated(last));
                return;
            }
        }
    }

    async fn run_once(&mut self, restart: u32) -> Termination {
        let started = Timestamp::now();
        let result = self.spec(restart).and_then(|spec| {
            let files = (spec.termination_message.clone(), [spec.stderr.clone(), spec.stdout.clone()]);
            Ok((self.shared.runtime.start(spec)?, files))
        });
        let (mut running, (message, logs)) = match result {
            Ok(started) => started,
            Err(error) => {
                let error = format!("{error:#}");
                self.record(What::NotStarted { error: error.clone() });
                let exit = Exit { code: 128, signal: None };
                return Termination {
                    exit,
                    started,
                    finished: Timestamp::now(),
                    reason: "StartError",
                    message: error,
                };
            }
        };
        self.show(|state| state.running(started, restart));
        self.record(What::Started { pid: running.pid(), restart });
        let key = (self.pod.uid().unwrap_or_default(), self.container.name.clone());
        locked(&self.shared.running).insert(key.clone(), (self.node.name.clone(), running.stopper()));
        let exit = self.wait(&mut running).await;
        locked(&self.shared.running).remove(&key);

        let falls_back =
            self.container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        let message = termination_message(&message, &logs, falls_back && exit.code != 0);
        self.record(What::Exited { exit, message: message.clone() });
        let reason = if exit.code == 0 { "Completed" } else { "Error" };
        Termination { exit, started, finished: Timestamp::now(), reason, message }
    }

    /// Waits for the end; asks for it, and then insists, when the pod has to go.
    async fn wait(&mut self, running: &mut Running) -> Exit {
        let stop = running.stopper();
        tokio::select! {
            exit = running.exited() => return exit,
            () = stop_asked(&mut self.wish) => {}
        }
        let asked = Instant::now();
        if !self.grace().is_zero() {
            self.record(What::Terminating);
            stop(Stop::Terminate);
        }
        loop {
            // A second deletion may shorten the time.
            let end = asked + self.grace();
            tokio::select! {
                exit = running.exited() => return exit,
                () = sleep_until(end) => break,
                Ok(()) = self.wish.changed() => {}
            }
        }
        self.record(What::Killed);
        stop(Stop::Kill);
        running.exited().await
    }

    fn spec(&self, restart: u32) -> Result<ContainerSpec> {
        let Resolved { mut command, mut env } =
            environment::resolve(&self.container, &self.pod, &self.addresses)?;
        let pod_folder = self.shared.folder.join(self.pod.uid().unwrap_or_default());
        for (mounted, folder) in self.empty_folders(&pod_folder)? {
            let texts = command.iter_mut().chain(env.iter_mut().map(|(_, value)| value));
            texts.for_each(|text| *text = text.replace(&mounted, &folder));
        }
        let folder = pod_folder.join(&self.container.name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        let file = |name: &str| folder.join(format!("{restart}.{name}"));
        let termination_message = file("termination-message");
        // As with a kubelet, it is there, and empty.
        fs::write(&termination_message, "").context("cannot create the file for the termination message")?;
        let own = [
            ("KUBECONFIG", self.kubeconfig.as_ref()),
            ("NODE_ANNOTATOR_TERMINATION_MESSAGE_PATH", Some(&termination_message)),
        ];
        for (name, path) in own {
            env.extend(path.map(|path| (name.to_owned(), path.display().to_string())));
        }
        let mut spec = ContainerSpec {
            node: self.node.name.clone(),
            namespace: self.pod.namespace().unwrap_or_default(),
            pod: self.pod.name_any(),
            container: self.container.name.clone(),
            image: self.container.image.clone().unwrap_or_default(),
            restart,
            command,
            env,
            working_directory: self.container.working_dir.as_deref().unwrap_or("/").into(),
            stdout: file("stdout"),
            stderr: file("stderr"),
            termination_message,
        };
        self.node.adapt(&mut spec);
        Ok(spec)
    }

    /// Where its `emptyDir` volumes are mounted, and the folders that stand for them: there are no mounts,
    /// so that its command and its variables get the other paths.
    fn empty_folders(&self, pod_folder: &Path) -> Result<Vec<(String, String)>> {
        let volumes = self.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let empty: Vec<_> = volumes.filter(|it| it.empty_dir.is_some()).map(|it| it.name.as_str()).collect();
        let mounts = self.container.volume_mounts.iter().flatten();
        let mounts = mounts.filter(|mount| empty.contains(&mount.name.as_str()));
        let folder = |mount: &VolumeMount| {
            let folder = pod_folder.join("volumes").join(&mount.name);
            fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
            Ok((mount.mount_path.clone(), folder.display().to_string()))
        };
        mounts.map(folder).collect()
    }

    fn restarts(&self, exit: Exit) -> bool {
        match self.role {
            Role::Init => return exit.code != 0,
            Role::Sidecar => return true,
            Role::Main => {}
        }
        match self.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) {
            Some("Never") => false,
            Some("OnFailure") => exit.code != 0,
            _ => true,
        }
    }

    fn must_stop(&self) -> bool {
        self.wish.borrow().stop.is_some()
    }

    fn grace(&self) -> Duration {
        self.wish.borrow().stop.unwrap_or_default()
    }

    fn show(&self, change: impl FnOnce(&mut State)) {
        self.states.send_modify(|states| change(&mut states[self.index]));
    }

    fn record(&self, what: What) {
        self.shared.events.record(Event {
            at: Timestamp::now(),
            node: self.node.name.clone(),
            namespace: self.pod.namespace().unwrap_or_default(),
            pod: self.pod.name_any(),
            pod_uid: self.pod.uid().unwrap_or_default(),
            container: self.container.name.clone(),
            what,
        });
    }
}

/// Returns when the pod is to end, or nobody is left to say so.
pub(super) async fn stop_asked(wish: &mut watch::Receiver<Wish>) {
    let _ = wish.wait_for(|wish| wish.stop.is_some()).await;
}

fn termination_message(path: &Path, logs: &[PathBuf; 2], falls_back: bool) -> String {
    let read = |path: &Path| fs::read(path).unwrap_or_default();
    let mut bytes = read(path);
    bytes.truncate(MESSAGE_BYTES);
    if bytes.is_empty() && falls_back {
        bytes = logs.iter().flat_map(|path| read(path)).collect();
        bytes.drain(..bytes.len().saturating_sub(LOG_BYTES));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_over() {
        let backoff = Backoff::KUBERNETES;
        let mut pause = None;
        let mut seconds = Vec::new();
        for _ in 0..8 {
            let next = backoff.after(pause, Duration::from_secs(1));
            seconds.push(next.as_secs());
            pause = Some(next);
        }
        assert_eq!(seconds, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.after(pause, Duration::from_mins(11)), Duration::ZERO);
    }
}

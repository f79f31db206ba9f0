//! Starts the examples as processes, in an environment of their own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A process that is not done by then never will be. Far above the deadlines in use, since the machine may be
/// busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An example that cargo built beside this test. It does so for all of `cargo test -p node-annotator`; with
/// `--test it` the examples are those of the last time.
pub(crate) fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("the path of this test");
    let path = test.parent().and_then(Path::parent).expect("target/PROFILE/deps").join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo test -p node-annotator` without `--test`",
        path.display()
    );
    let mut command = Command::new(path);
    command.env_clear().stdin(Stdio::null());
    command
}

/// The binary as it is shipped.
pub(crate) fn stock() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node-annotator"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// The binary whose collectors misbehave.
pub(crate) fn faulty(arguments: &[&str]) -> Command {
    let mut command = example("faulty_collectors");
    command.args(arguments);
    command
}

/// A scratch directory with the files that a pod has.
pub(crate) struct Pod(TempDir);

impl Pod {
    pub(crate) fn new() -> Self {
        let pod = Self(TempDir::new().expect("a scratch directory"));
        for directory in ["etc", "proc", "proc/sys"] {
            std::fs::create_dir(pod.path(directory)).expect("a directory");
        }
        std::fs::write(pod.path("termination-log"), "").expect("a file");
        pod
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The binary whose collectors misbehave, writing its termination message in here, for one node.
    pub(crate) fn faulty(&self, arguments: &[&str]) -> Command {
        let mut command = faulty(arguments);
        command
            .env("NODE_NAME", "worker-1")
            .env("NODE_ANNOTATOR_HOST_ROOT", self.0.path())
            .env("NODE_ANNOTATOR_TERMINATION_MESSAGE_PATH", self.path("termination-log"));
        command
    }

    /// Points the process to an API server that speaks plain HTTP.
    pub(crate) fn kubeconfig(&self, address: impl std::fmt::Display) -> PathBuf {
        let path = self.path("kubeconfig");
        let text = format!(
            r#"{{"apiVersion": "v1", "kind": "Config", "current-context": "test",
                "clusters": [{{"name": "test", "cluster": {{"server": "http://{address}"}}}}],
                "users": [{{"name": "test", "user": {{"token": "secret"}}}}],
                "contexts": [{{"name": "test", "context": {{"cluster": "test", "user": "test"}}}}]}}"#
        );
        std::fs::write(&path, text).expect("a file");
        path
    }

    pub(crate) fn termination_message(&self) -> Value {
        let text = std::fs::read_to_string(self.path("termination-log")).expect("a termination message");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
    }
}

/// Runs it to its end, which has to come.
pub(crate) fn run(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the example starts");
    let watched = child.id();
    let (done, ended) = std::sync::mpsc::channel();
    let watch = std::thread::spawn(move || {
        if ended.recv_timeout(PATIENCE).is_err() {
            kill(watched, rustix::process::Signal::KILL);
        }
    });
    let output = child.wait_with_output().expect("the example ends");
    let _ = done.send(());
    watch.join().expect("the watch ends");
    output
}

/// Waits for the end of a process whose output nobody reads.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        if Instant::now() > until {
            child.kill().expect("a child");
            panic!("the process did not end");
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

pub(crate) fn kill(process: u32, signal: rustix::process::Signal) {
    let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(process, signal).expect("a signal");
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

//! Small root file systems, and a run of one collector on them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use node_annotator_core::{
    Collector, Context, Environment, Facts, HostRoot, Outcome, Registry, Runner, Selection,
};
use tempfile::TempDir;

/// A root in which a test writes what it needs.
pub(crate) struct Root(TempDir);

impl Root {
    /// A root without a file.
    pub(crate) fn empty() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// A root with these files; a text that begins with `->` is the target of a link.
    pub(crate) fn new<P: AsRef<str>, T: AsRef<str>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        let root = Self::empty();
        for (path, text) in files {
            root.write(path.as_ref(), text.as_ref());
        }
        root
    }

    /// A copy of a machine below `fixtures/`.
    pub(crate) fn of_fixture(machine: &str) -> Self {
        let root = Self::empty();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(machine), root.path());
        root
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(fs::remove_file(&path));
        match text.strip_prefix("->") {
            Some(target) => symlink(target, path).unwrap(),
            None => fs::write(path, text).unwrap(),
        }
    }

    pub(crate) fn host(&self) -> HostRoot {
        HostRoot::new(self.path())
    }
}

fn copy(from: &Path, to: &Path) {
    let kind = fs::symlink_metadata(from).unwrap().file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(from).unwrap(), to).unwrap();
    } else if kind.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

pub(crate) fn registry() -> Registry {
    Registry::from_inventory().unwrap()
}

pub(crate) fn collector(name: &str) -> &'static Collector {
    registry().find(name).unwrap()
}

/// Runs a collector as the binary does, without a network.
pub(crate) async fn outcome(collector: &'static Collector, host: HostRoot) -> Outcome {
    let environment: Environment = [("NODE_IPS", "192.0.2.17")].into_iter().collect();
    let cx = Context::offline(host).with_environment(environment);
    run(collector, cx).await
}

pub(crate) async fn run(collector: &'static Collector, cx: Context) -> Outcome {
    let mut runner = Runner::new(Duration::from_mins(1));
    runner.run(&Selection::of(collector), Arc::new(cx)).await.entries()[0].outcome.clone()
}

/// The facts of a collector that must have some.
pub(crate) async fn facts(collector: &'static Collector, host: HostRoot) -> Facts {
    match outcome(collector, host).await {
        Outcome::Collected(facts) => facts,
        outcome => panic!("{}: {outcome:?}", collector.name),
    }
}

/// The facts that were left out, by name.
pub(crate) fn left_out(facts: &Facts) -> Vec<&'static str> {
    let mut names: Vec<_> = facts.left_out().iter().filter_map(|left_out| left_out.fact).collect();
    names.sort_unstable();
    names
}

//! The machines that collectors are run on.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use node_annotator_core::context::Access;
use node_annotator_core::{Collector, Context, Entry, Environment, HostRoot, Variable};

use crate::network::{Service, Zone};

/// The machine that every contract has: a host that shows nothing, not even an empty /proc.
pub const NOTHING_TO_SEE: &str = "nothing-to-see";

/// How the folder of a machine's metadata service ends.
const METADATA: &str = ".metadata";

/// The addresses and the name of every machine.
const ADDRESSES: [&str; 2] = ["192.0.2.17", "2001:db8::17"];
const NAME: &str = "Node-17.Example.com";

/// A root file system, and what a metadata service says of it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) name: String,
    root: PathBuf,
    metadata: Option<PathBuf>,
}

/// What a collector did on a machine.
pub(crate) struct Trial {
    pub(crate) entry: Entry,
    /// What it looked at on the host.
    pub(crate) accesses: Vec<Access>,
    /// What it asked for without declaring it.
    pub(crate) undeclared: Vec<String>,
    /// The addresses that it asked of a metadata service.
    pub(crate) asked: Vec<String>,
}

impl Machine {
    /// The machines of a folder in order of name, and last the one that shows nothing.
    pub(crate) fn all(fixtures: &Path) -> Vec<Self> {
        let entries = fs::read_dir(fixtures)
            .unwrap_or_else(|error| panic!("cannot read the machines in `{}`: {error}", fixtures.display()));
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("the folder can be read to its end"))
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().into_string().expect("the name of a machine is UTF-8"))
            .filter(|name| !name.ends_with(METADATA))
            .collect();
        names.sort();
        assert!(!names.is_empty(), "there is no machine in `{}`", fixtures.display());
        assert!(
            !names.iter().any(|name| name == NOTHING_TO_SEE),
            "`{NOTHING_TO_SEE}` is the machine that has no folder; name yours otherwise"
        );
        names.push(NOTHING_TO_SEE.to_owned());
        names
            .into_iter()
            .map(|name| {
                let metadata = fixtures.join(format!("{name}{METADATA}"));
                Self { root: fixtures.join(&name), metadata: metadata.is_dir().then_some(metadata), name }
            })
            .collect()
    }

    pub(crate) fn shows_nothing(&self) -> bool {
        self.name == NOTHING_TO_SEE
    }

    pub(crate) fn has_metadata(&self) -> bool {
        self.metadata.is_some()
    }

    /// Runs a collector; `hidden` is a path that it cannot see.
    pub(crate) fn run(
        &self,
        collector: &'static Collector,
        operator: &[(&'static str, String)],
        hidden: Option<&str>,
    ) -> Trial {
        let host = HostRoot::new(&self.root);
        let host = hidden.map_or(host.clone(), |path| host.hiding(path));
        let service = Arc::new(self.metadata.as_ref().map_or_else(Service::unreachable, Service::of_folder));
        let addresses: [IpAddr; 2] = ADDRESSES.map(|address| address.parse().expect("an address"));
        let cx = Context::offline(host)
            .with_environment(environment(collector, operator))
            .with_http(Arc::clone(&service) as _)
            .with_resolver(Arc::new(Zone::with_node(&addresses[..1], NAME)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime can be made");
        let entry = runtime.block_on(crate::entry(collector, cx.clone()));
        // A read that never returns is not waited for.
        runtime.shutdown_background();
        Trial {
            entry,
            accesses: cx.host.accesses(),
            undeclared: cx.undeclared(),
            asked: service.requests().into_iter().map(|request| request.url).collect(),
        }
    }
}

/// The variables that the DaemonSet takes from the pod, and those that the test sets in the operator's place.
fn environment(collector: &Collector, operator: &[(&'static str, String)]) -> Environment {
    let of_pod = collector.variables.iter().filter_map(|Variable { name, field_path, .. }| {
        let value = match (*field_path)? {
            "status.hostIP" => ADDRESSES[0].to_owned(),
            "status.hostIPs" => ADDRESSES.join(","),
            "status.podIP" => "198.51.100.7".to_owned(),
            "status.podIPs" => "198.51.100.7,2001:db8:1::7".to_owned(),
            "spec.nodeName" => "node-17".to_owned(),
            "metadata.name" => "node-annotator-x7k2p".to_owned(),
            "metadata.namespace" | "spec.serviceAccountName" => "node-annotator".to_owned(),
            _ => return None,
        };
        Some((*name, value))
    });
    of_pod.chain(operator.iter().cloned()).collect()
}

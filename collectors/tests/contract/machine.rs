//! The machines that the collectors are run on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use node_annotator_core::context::{HttpClient, Resolver};
use node_annotator_core::{
    Collector, Context, Environment, HostRoot, Need, Outcome, Registry, Report, Runner, Selection,
};

use crate::network::{Forbidden, Service, Zone};

/// Names of the root file systems below `fixtures/`; the last does not exist, and stands for a host that shows nothing.
pub(crate) const MACHINES: [&str; 8] = [
    "amd-epyc",
    "big-little",
    "droplet",
    "hostile",
    "intel-xeon",
    "neoverse-n1",
    "vm-generic",
    "nothing-to-see",
];

/// Where a fixture is.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// The metadata document of the Droplet, with a secret in every field that may hold one.
pub(crate) fn droplet_metadata() -> String {
    HostRoot::new(fixture("")).read("/droplet.metadata.json").unwrap().to_string()
}

/// What a secret looks like in [`droplet_metadata`].
pub(crate) const SECRET: &str = "sentinel-secret";

pub(crate) fn collector(name: &str) -> &'static Collector {
    Registry::from_inventory().unwrap().find(name).unwrap()
}

/// The world as a collector finds it on a machine: the variables and the network that it declares, and no others.
pub(crate) fn context_for(collector: &Collector, machine: &str) -> Context {
    let service = match machine {
        "droplet" => Service::answers(200, droplet_metadata()),
        _ => Service::unreachable(),
    };
    let environment = [("NODE_IPS", "192.0.2.17,2001:db8::17")].into_iter().collect();
    // What is not declared panics, and the runner hands out what is declared alone.
    let http: Arc<dyn HttpClient> = if collector.needs.contains(&Need::MetadataService) {
        Arc::new(service)
    } else {
        Arc::new(Forbidden)
    };
    let resolver: Arc<dyn Resolver> = if collector.needs.contains(&Need::Dns) {
        Arc::new(Zone::with_node(&["192.0.2.17"], "Node-17.example.com"))
    } else {
        Arc::new(Forbidden)
    };
    context(machine, environment, http, resolver)
}

pub(crate) fn context(
    machine: &str,
    environment: Environment,
    http: Arc<dyn HttpClient>,
    resolver: Arc<dyn Resolver>,
) -> Context {
    let host = HostRoot::new(fixture(machine));
    Context::offline(host).with_environment(environment).with_http(http).with_resolver(resolver)
}

/// Runs one collector as the binary does, retries included.
pub(crate) async fn report(collector: &'static Collector, cx: Context) -> Report {
    let runner = Runner { collect_budget: Duration::from_mins(1) };
    runner.run(&Selection::of(collector), Arc::new(cx)).await
}

pub(crate) async fn outcome(collector: &'static Collector, cx: Context) -> Outcome {
    report(collector, cx).await.entries()[0].outcome.clone()
}

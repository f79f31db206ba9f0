//! What holds for every collector on every machine, and what is special about one.
//!
//! The machines are small root file systems below `fixtures/`. Network and resolver are fakes: nothing here
//! leaves the process.

use node_annotator_collectors as _;
use node_annotator_core::{Collector, HostRoot, Registry};

mod clouds;
mod digital_ocean;
mod dns_name;
mod golden;
mod registry;
mod released;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

fn collector(name: &str) -> &'static Collector {
    Registry::from_inventory().unwrap().find(name).unwrap()
}

fn host(machine: &str) -> HostRoot {
    HostRoot::new(format!("{FIXTURES}/{machine}"))
}

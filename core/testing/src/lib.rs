//! Tests of collectors, for the crates that have some.
//!
//! [`Contract`] runs a collector on recorded machines and fails on whatever no collector may do. A machine
//! is a folder, a small root file system with the files that collectors read; `cargo xtask record-machine`
//! of node-annotator writes one. In the crate of a collector this is the whole test:
//!
//! ```no_run
//! # use node_annotator_core::{Collect, Collected, Collector, Fact, Stability, Topic};
//! # const FACT: Fact = Fact::primary("a fact", "1", Stability::PerBoot);
//! # static RACK: Collector = Collector::new("rack", Topic::Other("site"), "The rack", &[FACT],
//! #     Collect::Blocking(|_| Ok(Collected::not_applicable("no rack"))));
//! use node_annotator_testing::Contract;
//!
//! #[test]
//! fn rack_keeps_its_contract() {
//!     let machines = Contract::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"));
//!     let outcomes = machines.check(&RACK);
//!     assert_eq!(outcomes["in-a-rack"]["facts"]["rack"], "R12");
//! }
//! ```
//!
//! The outcomes are JSON with the machines inside, so that one golden file, as of the crate `insta`, shows
//! what a collector says everywhere: `insta::assert_json_snapshot!(outcomes)`.
//!
//! For what is special about one collector there are [`outcome`] and the fakes [`Service`] and [`Zone`].

mod breach;
mod contract;
mod machine;
mod network;
mod protocol;
mod sources;

use std::sync::Arc;
use std::time::Duration;

use node_annotator_core::{Collector, Context, Entry, Outcome, Runner, Selection};

pub use contract::Contract;
pub use machine::NOTHING_TO_SEE;
pub use network::{Service, Zone};
pub use protocol::{Protocol, Token};

/// What stands in fixtures where a machine has a secret. No outcome may contain it.
pub const SECRET: &str = "sentinel-secret";

/// Runs one collector as the binary does, retries included, and says what became of it.
///
/// With tokio's paused clock (`#[tokio::test(start_paused = true)]`) retries and timeouts take no time.
pub async fn outcome(collector: &'static Collector, cx: Context) -> Outcome {
    entry(collector, cx).await.outcome
}

async fn entry(collector: &'static Collector, cx: Context) -> Entry {
    let mut runner = Runner::new(Duration::from_mins(1));
    let report = runner.run(&Selection::of(collector), Arc::new(cx)).await;
    let [entry] = report.entries() else { unreachable!("one collector was selected") };
    entry.clone()
}

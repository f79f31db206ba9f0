//! `register!` in a crate of its own: what is registered here is found by every binary that links it.

use std::time::Duration;

use node_annotator_core::{Collect, Collector, Enabled, Fact, Facts, Registry, Stability};

static GREETING: Collector = Collector {
    name: "greeting",
    summary: "A word of welcome",
    facts: &[Fact::primary("The word", "hello", Stability::Immutable)],
    retired: &[],
    needs: &[],
    variables: &[],
    timeout: Duration::from_secs(1),
    enabled: Enabled::ByDefault,
    collect: Collect::Blocking(|_| Ok(Facts::new("hello").into())),
};

node_annotator_core::register!(GREETING);

#[test]
fn a_registered_collector_is_in_the_registry() {
    let registry = Registry::from_inventory().unwrap();
    let names: Vec<_> = registry.iter().map(|collector| collector.name).collect();
    assert_eq!(names, ["greeting"]);
}

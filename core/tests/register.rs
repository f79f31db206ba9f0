//! `register!` in a crate of its own: what is registered here is found by every binary that links it.

use node_annotator_core::{Collect, Collector, Fact, Facts, Registry, Stability, Topic};

const WORD: Fact = Fact::primary("The word", "hello", Stability::Immutable);

static GREETING: Collector = Collector::new(
    "greeting",
    Topic::Other("manners"),
    "A word of welcome",
    &[WORD],
    Collect::Blocking(|_| Ok(Facts::new("hello").into())),
);

node_annotator_core::register!(GREETING);

#[test]
fn a_registered_collector_is_in_the_registry() {
    let registry = Registry::from_inventory().unwrap();
    let names: Vec<_> = registry.iter().map(|collector| collector.name).collect();
    assert_eq!(names, ["greeting"]);
}

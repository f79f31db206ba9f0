//! The template of `cargo xtask new-collector` compiles as it stands, is sound, and finds its fact on the
//! file that comes with it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use node_annotator_core::{Context, HostRoot, Outcome, Registry, Runner, Selection};

#[path = "../templates/example.rs"]
#[expect(unreachable_pub, reason = "in the crate of collectors it is reached")]
mod example;

#[test]
fn the_template_is_a_collector() {
    let registry = Registry::from_inventory().unwrap();
    assert_eq!(registry.names(), example::EXAMPLE_NAME.name);
    let root = tempfile::tempdir().unwrap();
    let outcome = || {
        let context = Arc::new(Context::offline(HostRoot::new(root.path())));
        let mut runner = Runner::new(Duration::from_mins(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let report = runtime.block_on(runner.run(&Selection::of(&example::EXAMPLE_NAME), context));
        report.entries()[0].outcome.clone()
    };
    fs::create_dir_all(root.path().join("sys/kernel")).unwrap();
    fs::write(root.path().join("sys/kernel/other"), "").unwrap();
    assert!(matches!(outcome(), Outcome::NotApplicable(_)), "{:?}", outcome());
    fs::write(root.path().join("sys/kernel/example"), "example\n").unwrap();
    let Outcome::Collected(facts) = outcome() else { panic!("{:?}", outcome()) };
    assert_eq!(facts.iter().map(|(_, value)| value).collect::<Vec<_>>(), ["example"]);
}

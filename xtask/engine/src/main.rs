//! The binary with the least collector: what the engine weighs.
//!
//! Without any collector the linker would see that nothing can run, and leave out most of the engine.

use std::process::ExitCode;

use node_annotator_core::{Collect, Collected, Collector, Fact, Stability, Topic, register};

const NOTHING: Fact = Fact::primary("nothing", "nothing", Stability::Immutable);

static NONE: Collector = Collector::new(
    "none",
    Topic::Other("none"),
    "Nothing",
    &[NOTHING],
    Collect::Blocking(|_| Ok(Collected::not_applicable("there is nothing to collect"))),
);

register!(NONE);

fn main() -> ExitCode {
    node_annotator::main()
}

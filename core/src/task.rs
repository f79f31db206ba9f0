//! A task: what an operator wants to be run once on each node, from an image of their own.
//!
//! It has the keys of a collector, so that plan, affinity and policy need no word about it. What runs it is
//! its own pod.

use crate::registry::{RegistryError, checked};
use crate::{Collect, CollectError, Collected, Collector, Context, Fact, NamedFacts, Stability, Topic};

/// The name of the file that holds the primary fact.
pub const VALUE_FILE: &str = "value";

const VALUE: Fact = Fact::primary(
    "what the task wrote into the file `value`, if it wrote one",
    "configured",
    Stability::Dynamic,
)
.free_text();

/// Says beside the done label in which boot the task ran.
const VALUE_OF_BOOT: Fact = Fact { stability: Stability::PerBoot, ..VALUE };

/// The collector that stands for a task, with the facts that its command may write. It lives as long as the
/// process.
///
/// # Errors
///
/// The name or that of a fact is none that a collector can declare.
pub fn task(name: &str, named: &NamedFacts, is_per_boot: bool) -> Result<&'static Collector, RegistryError> {
    let facts: &[Fact] = if is_per_boot { &[VALUE_OF_BOOT] } else { &[VALUE] };
    let collector = Collector::new(
        name.to_owned().leak(),
        Topic::Other("task"),
        "What an image of the operator does once on each node",
        facts,
        Collect::Blocking(elsewhere),
    )
    .takes_named_facts();
    checked(Box::leak(Box::new(collector)))?.with_named_facts(named)
}

/// A run that is asked for it by its name has no command to run.
fn elsewhere(_: &Context) -> Result<Collected, CollectError> {
    Err(CollectError::new("a task runs in pods of its own, which `once` prints").lasting())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> NamedFacts {
        NamedFacts { names: names.iter().map(|&name| name.to_owned()).collect(), ..NamedFacts::default() }
    }

    #[test]
    fn a_task_declares_what_its_command_may_write() {
        let retired = vec!["old".to_owned()];
        let facts = NamedFacts { retired, ..named(&["size"]) };
        let collector = task("format-disk", &facts, false).unwrap();
        assert_eq!(collector.named_facts().collect::<Vec<_>>(), ["size", "old"]);
        assert!(!collector.holds_per_boot());
        assert_eq!(collector.named_by_operator(), Some(facts));
        assert!(task("format-disk", &NamedFacts::default(), true).unwrap().holds_per_boot());
    }

    #[test]
    fn names_that_no_collector_can_have_are_refused() {
        for name in ["", "Tune", "a.b", "default", "opt-out", &"a".repeat(60)] {
            assert!(task(name, &NamedFacts::default(), false).is_err(), "{name}");
        }
        for fact in ["value", "error", "Size", "a.b", ""] {
            assert!(task("tune", &named(&[fact]), false).is_err(), "{fact}");
        }
    }
}

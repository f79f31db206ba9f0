//! Whatever a file holds, no collector panics, and what it says is of the declared kind and clean.

use std::fs;
use std::path::PathBuf;

use node_annotator_core::context::Access;
use node_annotator_core::fact::clean;
use node_annotator_core::{Collector, Outcome};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::root::{Root, outcome, registry};

const MACHINES: [&str; 6] = ["amd-epyc", "ibm-z16", "intel-xeon", "neoverse-n1", "power10", "riscv64"];

/// A few for each file that a collector reads.
const CASES: u32 = 3_000;

/// A file of a machine, and who reads it.
#[derive(Debug, Clone)]
struct Source {
    collector: &'static Collector,
    machine: usize,
    path: String,
}

/// What stands in the place of a file's text.
#[derive(Debug, Clone)]
enum Junk {
    Bytes(Vec<u8>),
    /// The text with some bytes over it.
    Torn {
        at: usize,
        bytes: Vec<u8>,
    },
    /// The text, cut and repeated.
    Repeated {
        end: usize,
        times: usize,
    },
}

impl Junk {
    fn any() -> impl Strategy<Value = Self> {
        let bytes = || {
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..64),
                "[-0-9a-fx:,. \n\t\\[\\]]{0,64}".prop_map(String::into_bytes)
            ]
        };
        prop_oneof![
            bytes().prop_map(Self::Bytes),
            (any::<usize>(), bytes()).prop_map(|(at, bytes)| Self::Torn { at, bytes }),
            (any::<usize>(), 0..4_usize).prop_map(|(end, times)| Self::Repeated { end, times }),
        ]
    }

    fn of(&self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Torn { at, bytes } => {
                let at = at % (text.len() + 1);
                [&text[..at], bytes, text.get(at + bytes.len()..).unwrap_or_default()].concat()
            }
            Self::Repeated { end, times } => text[..end % (text.len() + 1)].repeat(*times),
        }
    }
}

#[test]
fn no_file_makes_a_collector_panic_or_say_what_it_did_not_declare() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let roots = MACHINES.map(Root::of_fixture);
    let mut sources = Vec::new();
    for (machine, root) in roots.iter().enumerate() {
        for collector in registry().iter() {
            let host = root.host();
            drop(runtime.block_on(outcome(collector, host.clone())));
            let texts = host.accesses().into_iter().filter_map(|access| match access {
                Access::Text(path) | Access::Bytes(path, ..) => Some(path),
                _ => None,
            });
            sources.extend(texts.map(|path| Source { collector, machine, path }));
        }
    }
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let run = |(source, junk): (Source, Junk)| {
        let Source { collector, machine, path } = source;
        let place: PathBuf = roots[machine].path().join(path.trim_start_matches('/'));
        let whole = fs::read(&place).ok();
        if whole.is_none() && place.exists() {
            // A directory, or what only root reads.
            return Ok(());
        }
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, junk.of(whole.as_deref().unwrap_or_default())).unwrap();
        let outcome = runtime.block_on(outcome(collector, roots[machine].host()));
        match whole {
            Some(whole) => fs::write(&place, whole).unwrap(),
            None => fs::remove_file(&place).unwrap(),
        }
        prop_assert!(!matches!(outcome, Outcome::Panicked(_) | Outcome::TimedOut(_)), "{outcome:?}");
        let Outcome::Collected(facts) = outcome else { return Ok(()) };
        for (name, value) in facts.iter() {
            let fact = collector.fact(name).unwrap();
            prop_assert!(fact.kind.admits(value), "{name:?} is no {}: {value:?}", fact.kind);
            prop_assert_eq!(clean(value, fact.max_bytes), value);
        }
        Ok(())
    };
    TestRunner::new(config).run(&(select(sources), Junk::any()), run).unwrap();
}

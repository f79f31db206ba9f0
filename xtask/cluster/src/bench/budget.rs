//! The limits that hold on every machine: of the whole, of the engine, and an allowance for each collector
//! and fact.
//!
//! A new collector comes with its allowance, so that whoever adds one answers for that one alone.

use node_annotator_core::Collector;

use super::figures::float;

pub(super) const REQUESTS: f64 = 1.0;
pub(super) const RESIDENT_BYTES: f64 = 8.0 * 1024.0 * 1024.0;

/// The static binary with everything in it.
pub(super) const BINARY_BYTES: f64 = 10.6e6;
/// The same without what only an operator runs: what a node needs.
pub(super) const NODE_WING_BYTES: f64 = 7.2e6;
/// The same as the first, without collectors. What an operator runs grows, what runs on a node has a budget
/// of its own.
pub(super) const ENGINE_BYTES: f64 = 9.8e6;
/// The image, compressed.
pub(super) const IMAGE_BYTES: f64 = 5.0e6;

/// What a run sends that finds nothing: handshake, token, a done label, and what deletes the facts of one
/// collector.
pub(super) const EMPTY_RUN_BYTES: f64 = 2200.0;

/// Some collectors, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    collectors: usize,
    facts: usize,
}

impl Count {
    pub(super) fn of<'a>(collectors: impl Iterator<Item = &'a Collector>) -> Self {
        collectors.fold(Self { collectors: 0, facts: 0 }, |count, collector| Self {
            collectors: count.collectors + 1,
            facts: count.facts + collector.facts.len(),
        })
    }

    /// What these may add to the binary.
    pub(super) fn binary_bytes(self) -> f64 {
        self.allowance(30_000.0, 2_500.0)
    }

    /// What a run of these may send. A collector has its label, and beside its facts an error, a boot and a
    /// day; three of these are deleted by most runs, and each key has its name.
    pub(super) fn sent_bytes(self) -> f64 {
        EMPTY_RUN_BYTES + self.allowance(140.0, 45.0)
    }

    fn allowance(self, collector: f64, fact: f64) -> f64 {
        float(self.collectors) * collector + float(self.facts) * fact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_collector_and_fact_brings_its_allowance() {
        let count = Count { collectors: 3, facts: 20 };
        assert!((count.binary_bytes() - 140_000.0).abs() < 0.1);
        assert!((count.sent_bytes() - EMPTY_RUN_BYTES - 1_320.0).abs() < 0.1);
    }
}

//! The engine from the outside, with fake collectors: facts, registry, selection, runner, report and plan.

mod facts;
mod fakes;
mod host;
mod labels;
mod plan;
mod registry;
mod report;
mod runner;
mod selection;

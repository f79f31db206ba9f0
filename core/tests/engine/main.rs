//! The engine from the outside, with fake collectors: registry, selection, runner, report and plan.

mod fakes;
mod plan;
mod registry;
mod report;
mod runner;
mod selection;

//! Scenarios on a real control plane.

mod attack;
mod control_plane;
mod doctor;
mod documents;
mod failures;
mod fleet;
mod giving_up;
mod guard;
mod helm;
mod killed;
mod labels;
mod lifecycle;
mod monitoring;
mod once;
mod outages;
mod requests;
mod run_once;
mod startup_taint;
mod static_policy;
mod support;
mod tampering;

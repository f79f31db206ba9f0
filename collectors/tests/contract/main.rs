//! What holds for every collector on every machine, with the machines' outcomes as golden files.
//!
//! The machines are small root file systems below `fixtures/`. Network and resolver are fakes: nothing here leaves the process.

use node_annotator_collectors as _;

mod digital_ocean;
mod dns_name;
mod golden;
mod machine;
mod network;
mod registry;

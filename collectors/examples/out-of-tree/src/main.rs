//! The binary: the collectors of the site, and those that come with node-annotator.

use std::process::ExitCode;

use node_annotator::App;
use node_annotator_collectors as _;
use site_annotator as _;

const APP: App = App::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    APP.main()
}

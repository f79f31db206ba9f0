//! The `node-annotator` binary: the library half, and the collectors that are linked into it.

use std::process::ExitCode;

use node_annotator_collectors as _;

fn main() -> ExitCode {
    node_annotator::main()
}

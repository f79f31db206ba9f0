//! The binary without collectors. It is built and weighed, and cannot run: an empty registry is an error.

use std::process::ExitCode;

fn main() -> ExitCode {
    node_annotator::main()
}

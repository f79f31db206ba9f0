//! The `node-annotator` binary.

fn main() {}

//! The library half of the `node-annotator` binary.

//! The collectors that come with node-annotator.

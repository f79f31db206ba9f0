//! Typed Kubernetes manifests.

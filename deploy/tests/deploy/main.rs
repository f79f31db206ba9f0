//! What is generated, held against the rules that Kubernetes has for it.

mod affinity;
mod components;
mod expire;
mod fakes;
mod folder;
mod labels;
mod manifests;
mod once;
mod policy;
mod shape;
mod startup_taint;
mod yaml;

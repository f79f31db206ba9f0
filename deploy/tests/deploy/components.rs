//! The kustomize components that come with the manifests: none is forgotten where all are listed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/kustomize"))
}

fn components() -> BTreeSet<String> {
    let entries = fs::read_dir(folder()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn read(path: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(folder().join(path)).unwrap()).unwrap()
}

#[test]
fn every_component_is_listed_and_explained() {
    let all = read("kustomization.yaml");
    let listed = all["components"].as_array().unwrap().iter();
    let listed: BTreeSet<_> = listed.map(|component| component.as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, components());
    assert_eq!(all["sortOptions"]["order"], "fifo");
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for component in components() {
        assert!(
            readme.contains(&format!("| [`{component}`]({component}/kustomization.yaml) |")),
            "{component}"
        );
    }
}

#[test]
fn every_component_is_one() {
    assert!(components().len() >= 5);
    for component in components() {
        let read = read(&format!("{component}/kustomization.yaml"));
        assert_eq!(read["kind"], "Component", "{component}");
        assert_eq!(read["apiVersion"], "kustomize.config.k8s.io/v1alpha1", "{component}");
    }
}

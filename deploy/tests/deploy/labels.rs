//! Facts that are labels too: what is generated for them.

use node_annotator_core::LabelFacts;
use node_annotator_deploy::policy::{self, Keys, Scope};
use node_annotator_deploy::{Layout, Manifests, Settings};

use crate::fakes::{CPU_MODEL, KERNEL, settings};

fn labelling(names: &[&str], layout: Layout) -> Settings {
    let labels = LabelFacts::parse(names.iter().copied(), &[&CPU_MODEL, &KERNEL]).unwrap();
    Settings { labels, layout, ..settings(&[&CPU_MODEL, &KERNEL]) }
}

fn yaml(settings: &Settings) -> String {
    Manifests::new(settings).unwrap().yaml().unwrap()
}

#[test]
fn what_labels_add_to_the_manifests() {
    let (with, without) = (
        yaml(&labelling(&["kernel", "cpu-model.more"], Layout::Combined)),
        yaml(&labelling(&[], Layout::Combined)),
    );
    let changed = |one: &str, other: &str| {
        let lines = one.lines().filter(|line| !other.lines().any(|other| other == *line));
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(format!(
        "{}\n\nin place of\n\n{}",
        changed(&with, &without),
        changed(&without, &with)
    ));
}

#[test]
fn each_daemon_set_is_told_of_the_labels_of_its_collectors() {
    let args = |names: &[&str]| {
        let manifests = Manifests::new(&labelling(names, Layout::PerCollector)).unwrap();
        let sets = manifests.daemon_sets().map(|set| {
            let pod = set.spec.clone().unwrap().template.spec.unwrap();
            let args = pod.containers[0].args.clone().unwrap_or_default();
            args.into_iter().find(|arg| arg.starts_with("--labels")).unwrap_or_default()
        });
        sets.collect::<Vec<_>>()
    };
    assert_eq!(args(&["kernel.more", "kernel"]), ["", "--labels=kernel,kernel.more"]);
    assert_eq!(args(&["kernel", "cpu-model"]), ["--labels=cpu-model", "--labels=kernel"]);
    assert_eq!(args(&[]), ["", ""]);
}

#[test]
fn the_policy_tells_and_lists_them() {
    let scope = Scope::new(&labelling(&["kernel.more", "cpu-model"], Layout::Combined));
    let made = policy::policy(&scope, policy::rules(&scope));
    let by_name = |name: &str| [&CPU_MODEL, &KERNEL].into_iter().find(|fake| fake.name == name);
    let read = Scope::read(&made, by_name).unwrap();
    assert_eq!(read.labels, scope.labels);
    assert_eq!(policy::policy(&read, policy::rules(&read)), made);
    let listed: Vec<_> = Keys::listed(&made).unwrap().fact_labels.into_iter().collect();
    assert_eq!(listed, ["k8s.haim.dev/cpu-model.value", "k8s.haim.dev/kernel.more"]);
    let none = Scope::new(&labelling(&[], Layout::Combined));
    assert!(Keys::listed(&policy::policy(&none, policy::rules(&none))).unwrap().fact_labels.is_empty());
}

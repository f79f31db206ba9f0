//! What the operator may say of nodes and pods, and what contradicts what the DaemonSet needs.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PodTemplateSpec;
use node_annotator_deploy::{
    Architecture, Exclusion, Manifests, Object, PolicyMode, PriorityClassName, Settings, Tolerations,
};
use serde_json::{Value, json};

use crate::fakes::{CPU_MODEL, KERNEL, settings};

fn both() -> Settings {
    settings(&[&CPU_MODEL, &KERNEL])
}

fn template(settings: &Settings) -> PodTemplateSpec {
    let manifests = Manifests::new(settings).unwrap();
    manifests.daemon_sets().next().unwrap().spec.clone().unwrap().template
}

fn refusal(settings: &Settings) -> String {
    Manifests::new(settings).unwrap_err().to_string()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn excluding(exclusions: &[&str]) -> Settings {
    Settings { exclusions: exclusions.iter().map(|text| text.parse().unwrap()).collect(), ..both() }
}

fn of_architectures(names: &[&str]) -> Settings {
    Settings { architectures: names.iter().map(|name| name.parse().unwrap()).collect(), ..both() }
}

#[test]
fn one_architecture_is_selected_and_several_are_listed() {
    let spec = |names: &[&str]| template(&of_architectures(names)).spec.unwrap();
    let selector = |names: &[&str]| spec(names).node_selector.unwrap();
    let listed = |names: &[&str]| serde_json::to_string(&spec(names).affinity).unwrap();
    assert_eq!(selector(&[]), map(&[("kubernetes.io/os", "linux")]));
    let one = map(&[("kubernetes.io/arch", "arm64"), ("kubernetes.io/os", "linux")]);
    assert_eq!(selector(&["arm64", "arm64"]), one);
    assert!(!listed(&["arm64"]).contains("kubernetes.io/arch"));
    assert_eq!(selector(&["arm64", "amd64"]), map(&[("kubernetes.io/os", "linux")]));
    let both = r#"{"key":"kubernetes.io/arch","operator":"In","values":["amd64","arm64"]}"#;
    assert!(listed(&["arm64", "amd64"]).contains(both));
}

#[test]
fn pods_name_the_priority_class_that_is_there() {
    let shape = |name: &str| {
        let settings = Settings { priority_class: name.parse().unwrap(), ..both() };
        let manifests = Manifests::new(&settings).unwrap();
        let printed = manifests.objects().filter(|object| object.kind() == "PriorityClass").count();
        (template(&settings).spec.unwrap().priority_class_name, printed)
    };
    assert_eq!(shape("own"), (Some("node-annotator".to_owned()), 1));
    assert_eq!(shape("none"), (None, 0));
    assert_eq!(shape("system-node-critical"), (Some("system-node-critical".to_owned()), 0));
    // Ours, by its name.
    assert_eq!(shape("node-annotator"), (Some("node-annotator".to_owned()), 1));
    assert_eq!(PriorityClassName::default(), "own".parse().unwrap());
}

#[test]
fn an_object_that_installations_share_does_not_depend_on_their_settings() {
    let shared = |settings: Settings| -> Vec<Object> {
        let manifests = Manifests::new(&settings).unwrap();
        let of_none = |object: &&Object| {
            !object.metadata().labels.as_ref().unwrap().contains_key("app.kubernetes.io/part-of")
        };
        manifests.objects().filter(of_none).cloned().collect()
    };
    let first = shared(both());
    assert_eq!(first.iter().map(Object::kind).collect::<Vec<_>>(), ["PriorityLevelConfiguration"]);
    let other = Settings {
        installation: "facts".parse().unwrap(),
        prefix: "facts.example.com".parse().unwrap(),
        priority_class: PriorityClassName::None,
        policy: PolicyMode::Omitted,
        version: "9.9.9".to_owned(),
        ..settings(&[&KERNEL])
    };
    assert_eq!(shared(other), first);
}

#[test]
fn each_file_is_a_wave_of_its_own_and_daemon_sets_are_the_last() {
    for settings in [both(), Settings { priority_class: PriorityClassName::None, ..both() }] {
        let manifests = Manifests::new(&settings).unwrap();
        let wave = |object: &Object| -> i32 {
            let annotations = object.metadata().annotations.clone().unwrap_or_default();
            annotations.get("argocd.argoproj.io/sync-wave").map_or(0, |wave| wave.parse().unwrap())
        };
        let waves: Vec<BTreeSet<i32>> =
            manifests.files().iter().map(|file| file.objects.iter().map(wave).collect()).collect();
        let (daemon_sets, before): (Vec<_>, Vec<_>) = waves.into_iter().partition(|waves| waves.contains(&0));
        assert_eq!(daemon_sets.len(), 2);
        assert!(before.iter().all(|waves| waves.len() == 1), "{before:?}");
        assert!(before.is_sorted_by(|a, b| a < b), "{before:?}");
    }
}

#[test]
fn tolerations_are_all_or_none_or_those_of_the_list() {
    let tolerations = |text: &str| -> Value {
        let settings = Settings { tolerations: text.parse().unwrap(), ..both() };
        serde_json::to_value(template(&settings).spec.unwrap().tolerations).unwrap()
    };
    assert_eq!(tolerations("all"), json!([{"operator": "Exists"}]));
    assert_eq!(tolerations("none"), Value::Null);
    assert_eq!(
        tolerations("dedicated=db:NoSchedule,gpu,example.com/spot:NoExecute,empty="),
        json!([
            {"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"},
            {"key": "gpu", "operator": "Exists"},
            {"key": "example.com/spot", "operator": "Exists", "effect": "NoExecute"},
            {"key": "empty", "operator": "Equal", "value": ""},
        ])
    );
}

#[test]
fn labels_and_annotations_of_the_operator_stand_beside_ours() {
    let settings = Settings {
        pod_labels: map(&[("example.com/team", "platform")]),
        pod_annotations: map(&[("Example.com/note", "two words, and: more"), ("plain", "")]),
        ..both()
    };
    let metadata = template(&settings).metadata.unwrap();
    let (labels, annotations) = (metadata.labels.unwrap(), metadata.annotations.unwrap());
    assert_eq!(labels["example.com/team"], "platform");
    assert_eq!(labels["app.kubernetes.io/component"], "cpu-model");
    assert_eq!(annotations["Example.com/note"], "two words, and: more");
    assert_eq!(annotations["linkerd.io/inject"], "disabled");
    // Objects that are no pods are left as they were.
    let manifests = Manifests::new(&settings).unwrap();
    assert!(
        manifests
            .objects()
            .all(|object| { !object.metadata().labels.as_ref().unwrap().contains_key("example.com/team") })
    );
}

#[test]
fn what_is_malformed_is_refused() {
    let refused = [
        "a b".parse::<Exclusion>().unwrap_err(),
        "=a".parse::<Exclusion>().unwrap_err(),
        "a=b c".parse::<Exclusion>().unwrap_err(),
        "x86_64".parse::<Architecture>().unwrap_err(),
        "AARCH64".parse::<Architecture>().unwrap_err(),
        "amd46".parse::<Architecture>().unwrap_err(),
        "No Class".parse::<PriorityClassName>().unwrap_err(),
        "".parse::<Tolerations>().unwrap_err(),
        "all,gpu".parse::<Tolerations>().unwrap_err(),
        "gpu,:NoSchedule".parse::<Tolerations>().unwrap_err(),
        "gpu=a b".parse::<Tolerations>().unwrap_err(),
        "gpu:noschedule".parse::<Tolerations>().unwrap_err(),
    ];
    insta::assert_snapshot!(refused.map(|error| error.to_string()).join("\n"));
}

#[test]
fn what_contradicts_the_daemon_set_is_refused() {
    let selecting = |key: &str, value: &str, settings: Settings| Settings {
        node_selector: map(&[(key, value)]),
        ..settings
    };
    let label = |key: &str, value: &str| Settings { pod_labels: map(&[(key, value)]), ..both() };
    let annotation = |key: &str, value: &str| Settings { pod_annotations: map(&[(key, value)]), ..both() };
    let control_plane = Settings { exclude_control_plane: true, ..both() };
    let refused = [
        excluding(&["kubernetes.io/os"]),
        excluding(&["kubernetes.io/os=linux"]),
        excluding(&["beta.kubernetes.io/os=linux"]),
        excluding(&["kubernetes.io/hostname"]),
        excluding(&["kubernetes.io/arch"]),
        excluding(&["k8s.haim.dev/kernel"]),
        excluding(&["k8s.haim.dev/opt-out"]),
        selecting("pool", "a", excluding(&["pool"])),
        selecting("pool", "a", excluding(&["pool=a"])),
        selecting("type", "kwok", both()),
        selecting("node-role.kubernetes.io/control-plane", "", control_plane),
        selecting("kubernetes.io/arch", "arm64", of_architectures(&["amd64", "arm64"])),
        Settings {
            exclusions: excluding(&["kubernetes.io/arch=amd64"]).exclusions,
            ..of_architectures(&["amd64"])
        },
        label("a b", "c"),
        label("a", "b c"),
        label("app.kubernetes.io/component", "mine"),
        label("app.kubernetes.io/version", "1"),
        label("controller-revision-hash", "a"),
        label("sidecar.istio.io/inject", "true"),
        annotation("a b", "c"),
        annotation("linkerd.io/inject", "enabled"),
    ];
    insta::assert_snapshot!(refused.map(|settings| refusal(&settings)).join("\n"));

    for fine in [
        excluding(&["kubernetes.io/os=windows", "kubernetes.io/arch=arm", "kubernetes.io/hostname=n1"]),
        excluding(&["node-role.kubernetes.io/infra=", "type"]),
        selecting("pool", "a", excluding(&["pool=b"])),
        selecting("kubernetes.io/arch", "arm64", of_architectures(&["arm64"])),
    ] {
        assert!(Manifests::new(&fine).is_ok(), "{fine:?}");
    }
}

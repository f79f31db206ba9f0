//! The startup taint: what is generated for it, and which taints are refused.

use node_annotator_core::DoneMark;
use node_annotator_deploy::startup_taint::{OnFailure, StartupTaintKey};
use node_annotator_deploy::{Layout, Manifests, PolicyMode, Settings, StartupTaint, Tolerations};

use crate::fakes::{CPU_MODEL, KERNEL, settings};

fn tainting(key: &str, on_failure: OnFailure) -> Settings {
    let settings = Settings { layout: Layout::Combined, ..settings(&[&CPU_MODEL, &KERNEL]) };
    let key = key.parse::<StartupTaintKey>().unwrap().of(&settings.installation);
    Settings { startup_taint: Some(StartupTaint { key, on_failure }), ..settings }
}

fn yaml(settings: &Settings) -> String {
    Manifests::new(settings).unwrap().yaml().unwrap()
}

fn refusal(settings: &Settings) -> String {
    Manifests::new(settings).unwrap_err().to_string()
}

#[test]
fn what_a_startup_taint_adds_to_the_manifests() {
    let without = Settings { startup_taint: None, ..tainting("own", OnFailure::Keep) };
    let (with, without) = (yaml(&tainting("own", OnFailure::Keep)), yaml(&without));
    let added: Vec<_> = with.lines().filter(|line| !without.lines().any(|other| other == *line)).collect();
    insta::assert_snapshot!(added.join("\n"));
}

#[test]
fn done_is_what_the_affinity_takes_for_done() {
    let all_done = |mark: DoneMark, on_failure| {
        let settings = Settings { mark, ..tainting("own", on_failure) };
        let yaml = yaml(&settings);
        let end = yaml.find("name: allDone\n").expect("there is the variable");
        let start = yaml[..end].rfind("- expression: ").expect("there is its expression");
        yaml[start..end].lines().map(str::trim).collect::<Vec<_>>().join("\n")
    };
    let second = || DoneMark::Generation("2".parse().unwrap());
    insta::assert_snapshot!(
        [
            all_done(DoneMark::Saved, OnFailure::Keep),
            all_done(second(), OnFailure::Keep),
            all_done(second(), OnFailure::Remove),
        ]
        .join("\n\n")
    );
}

#[test]
fn the_key_is_that_of_the_installation_unless_it_is_named() {
    let own = |namespace: &str| StartupTaintKey::Own.of(&namespace.parse().unwrap());
    assert_eq!(own("node-annotator"), "startup-taint.cluster-autoscaler.kubernetes.io/node-annotator");
    assert_eq!(own("facts"), "startup-taint.cluster-autoscaler.kubernetes.io/node-annotator-facts");
    assert!(yaml(&tainting("example.com/starting", OnFailure::Keep)).contains("'example.com/starting'"));
}

#[test]
fn pods_of_ours_tolerate_it_whatever_else_they_tolerate() {
    let tolerations = |list: &str| {
        let settings = Settings {
            tolerations: list.parse::<Tolerations>().unwrap(),
            ..tainting("example.com/starting", OnFailure::Keep)
        };
        let manifests = Manifests::new(&settings).unwrap();
        let spec = manifests.daemon_sets().next().unwrap().spec.clone().unwrap();
        let list = spec.template.spec.unwrap().tolerations.unwrap_or_default();
        list.into_iter().map(|toleration| toleration.key.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(tolerations("all"), [""]);
    assert_eq!(tolerations("none"), ["example.com/starting"]);
    assert_eq!(tolerations("gpu"), ["gpu", "example.com/starting"]);
}

#[test]
fn taints_of_others_and_a_taint_that_could_stay_behind_are_refused() {
    let of = |key: &str| tainting(key, OnFailure::Keep);
    for key in ["node.kubernetes.io/not-ready", "node-role.kubernetes.io/control-plane", "k8s.io/x"] {
        assert!(refusal(&of(key)).contains("taints of Kubernetes itself"), "{key}");
    }
    assert!(refusal(&of("node.cilium.io/agent-not-ready")).contains("it belongs to others"));
    let insisting = Settings { allow_foreign_prefix: true, ..of("node.cilium.io/agent-not-ready") };
    assert!(Manifests::new(&insisting).is_ok());
    for key in ["starting", "ignore-taint.cluster-autoscaler.kubernetes.io/x", "example.com/x"] {
        assert!(Manifests::new(&of(key)).is_ok(), "{key}");
    }
    assert!("a b".parse::<StartupTaintKey>().unwrap_err().to_string().contains("write `own`"));
    let without_policy = Settings { policy: PolicyMode::Omitted, ..of("own") };
    assert!(refusal(&without_policy).contains("leave out `--no-policy`"));
    let installation: node_annotator_deploy::Installation = "a".repeat(50).parse().unwrap();
    let key = StartupTaintKey::Own.of(&installation);
    let long = Settings {
        installation,
        startup_taint: Some(StartupTaint { key, on_failure: OnFailure::Keep }),
        ..of("own")
    };
    assert!(refusal(&long).contains("name a shorter key"));
}

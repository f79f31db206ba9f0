//! The pod of a task: what is kept of the input, and what is put around it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Container;
use node_annotator_core::NamedFacts;
use node_annotator_deploy::once::{Input, Options};
use serde_json::{Value, json};

use super::{container, made, manifests, of, one, pod, refusal, task};

fn names(containers: &[Container]) -> Vec<&str> {
    containers.iter().map(|container| container.name.as_str()).collect()
}

fn args(container: &Container) -> Vec<&str> {
    container.args.iter().flatten().map(String::as_str).collect()
}

#[test]
fn everything_for_a_command() {
    let input = Input::of_command("tune", "busybox", &["sysctl", "-w", "a=1"].map(str::to_owned), true);
    let options = Options {
        facts: NamedFacts { names: vec!["size".to_owned()], ..NamedFacts::default() },
        check: Some(["sh", "-c", "test $(cat /x) = 1"].map(str::to_owned).to_vec()),
        ..Options::default()
    };
    insta::assert_snapshot!(manifests(&input, &options).yaml().unwrap());
}

#[test]
fn steps_run_below_our_program_and_sidecars_as_they_are() {
    let mut sidecar = container("proxy");
    sidecar["restartPolicy"] = json!("Always");
    sidecar["startupProbe"] = json!({"exec": {"command": ["true"]}});
    let spec = json!({
        "initContainers": [container("first"), sidecar, container("second")],
        "containers": [container("main"), container("other")],
    });
    let pod = made(&pod(&spec), &Options { check: Some(vec!["true".to_owned()]), ..Options::default() });
    let init = pod.init_containers.unwrap();
    assert_eq!(
        names(&init),
        ["node-annotator-copy", "node-annotator", "node-annotator-check", "first", "proxy", "second"]
    );
    assert_eq!(json!(init[4]), sidecar);
    let after = |container: &Container| -> Vec<String> {
        args(container).iter().filter_map(|arg| arg.strip_prefix("--after=")).map(str::to_owned).collect()
    };
    assert_eq!(after(&init[5]), ["node-annotator-check", "first"]);
    for main in &pod.containers {
        assert_eq!(after(main), ["node-annotator-check", "first", "second"]);
        assert!(args(main).ends_with(&["--", "true"]));
        assert!(!args(main).contains(&"--ends"));
    }
    for step in [&init[3], &init[5]] {
        assert!(args(step).contains(&"--ends"));
    }
    let steps: Vec<_> = args(&init[1]).into_iter().filter_map(|arg| arg.strip_prefix("--step=")).collect();
    assert_eq!(steps, ["node-annotator-check", "first", "second", "main", "other"]);
}

#[test]
fn what_the_input_says_of_its_containers_is_kept() {
    let change = json!({
        "args": ["a", "$(HOME)"],
        "workingDir": "/srv",
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [{"configMapRef": {"name": "c", "optional": true}}],
        "resources": {"limits": {"memory": "64Mi"}},
        "securityContext": {"privileged": true},
        "volumeMounts": [{"name": "dev", "mountPath": "/dev"}],
        "imagePullPolicy": "Always",
    });
    let mut spec = one(&change);
    for (field, value) in [
        ("hostPID", json!(true)),
        ("hostNetwork", json!(true)),
        ("dnsPolicy", json!("ClusterFirstWithHostNet")),
        ("securityContext", json!({"fsGroup": 5, "runAsUser": 0})),
        ("volumes", json!([{"name": "dev", "hostPath": {"path": "/dev"}}])),
        ("runtimeClassName", json!("runc")),
        ("hostAliases", json!([{"ip": "10.0.0.1", "hostnames": ["a"]}])),
        ("terminationGracePeriodSeconds", json!(7)),
    ] {
        spec[field] = value;
    }
    let pod = json!(made(&pod(&spec), &Options::default()));
    let kept = |given: &Value, made: &Value| {
        given.as_object().unwrap().iter().for_each(|(key, value)| match value {
            Value::Array(list) => {
                let made = made[key].as_array().unwrap();
                assert!(list.iter().all(|it| key == "containers" || made.contains(it)), "{key}: {made:?}");
            }
            value => assert_eq!(&made[key], value, "{key}"),
        });
    };
    kept(&spec, &pod);
    kept(&change, &pod["containers"][0]);
    assert_eq!(pod["automountServiceAccountToken"], false);
}

#[test]
fn only_our_container_has_a_token_and_a_user_of_its_own() {
    let spec = json!({
        "securityContext": {"runAsUser": 64198},
        "initContainers": [container("first")],
        "containers": [{"name": "main", "image": "a", "command": ["a"], "securityContext": {"runAsUser": 64199}}],
    });
    let pod = made(&pod(&spec), &Options::default());
    let all: Vec<_> = pod.init_containers.iter().flatten().chain(&pod.containers).collect();
    let has_token = |container: &&&Container| {
        container.volume_mounts.iter().flatten().any(|mount| mount.name == "node-annotator-token")
    };
    assert_eq!(
        all.iter().filter(has_token).map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ["node-annotator"]
    );
    for ours in all.iter().filter(|it| it.name.starts_with("node-annotator")) {
        let context = ours.security_context.as_ref().unwrap();
        assert_eq!((context.run_as_user, context.run_as_group), (Some(64_200), Some(64_200)));
        assert_eq!(context.run_as_non_root, Some(true));
    }
    let options = Options { is_user_of_namespace: true, ..Options::default() };
    let pod = made(&super::pod(&one(&json!({}))), &options);
    let ours = pod.init_containers.unwrap()[1].security_context.clone().unwrap();
    assert_eq!((ours.run_as_user, ours.run_as_non_root), (None, Some(true)));
    let mut spec = one(&json!({}));
    spec["hostPID"] = json!(true);
    let error = task(&super::pod(&spec), &options).unwrap_err().to_string();
    assert!(error.contains("leave out `hostPID`"), "{error}");
}

#[test]
fn probes_and_ports_are_left_out_and_that_is_said() {
    let probe = json!({"exec": {"command": ["true"]}});
    let change = json!({"livenessProbe": probe, "readinessProbe": probe, "ports": [{"containerPort": 80}]});
    let mut spec = one(&change);
    spec["topologySpreadConstraints"] =
        json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]);
    let input = pod(&spec);
    let main = made(&input, &Options::default()).containers[0].clone();
    assert_eq!((main.liveness_probe, main.readiness_probe, main.ports), (None, None, None));
    let said = input.said().concat();
    for word in ["livenessProbe", "readinessProbe", "ports", "topologySpreadConstraints"] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn the_installation_is_the_tasks_alone() {
    let input = pod(&one(&json!({})));
    let manifests = manifests(&input, &Options::default());
    let namespaces: BTreeSet<_> =
        manifests.objects().filter_map(|object| object.metadata().namespace.as_deref()).collect();
    assert_eq!(namespaces, BTreeSet::from(["once-tune"]));
    let policy = manifests.objects().find(|object| object.kind() == "ValidatingAdmissionPolicy").unwrap();
    let text = json!(policy).to_string();
    assert!(text.contains("'k8s.haim.dev/tune': 'h") && !text.contains("kernel"), "{text}");
    let privileged = pod(&one(&json!({"securityContext": {"privileged": true}})));
    let manifests = super::manifests(&privileged, &Options::default());
    let namespace = manifests.objects().next().unwrap();
    assert_eq!(namespace.metadata().name.as_deref(), Some("once-tune"));
    let labels = namespace.metadata().labels.clone().unwrap();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "privileged");
}

#[test]
fn labels_of_people_are_kept_and_those_of_tools_are_not() {
    let input = of(json!({"kind": "Job", "metadata": {"name": "x"}, "spec": {"template": {
        "metadata": {
            "labels": {"team": "storage", "job-name": "x", "batch.kubernetes.io/controller-uid": "1",
                       "app.kubernetes.io/name": "formatter"},
            "annotations": {"owner": "me", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "spec": one(&json!({})),
    }}}));
    let manifests = manifests(&input, &Options::default());
    let template = manifests.daemon_sets().next().unwrap().spec.clone().unwrap().template.metadata.unwrap();
    let labels = template.labels.unwrap();
    assert_eq!(
        (labels["team"].as_str(), labels["app.kubernetes.io/name"].as_str()),
        ("storage", "node-annotator")
    );
    assert!(!labels.contains_key("job-name") && !labels.contains_key("batch.kubernetes.io/controller-uid"));
    let annotations = template.annotations.unwrap();
    assert_eq!(annotations.keys().collect::<Vec<_>>(), ["linkerd.io/inject", "owner"]);
}

#[test]
fn a_name_that_keys_or_objects_cannot_have_is_refused() {
    let input = pod(&one(&json!({})));
    for name in ["Tune", "a.b", "default", &"a".repeat(60)] {
        let base = crate::fakes::settings(&[&crate::fakes::KERNEL]);
        let error = node_annotator_deploy::once::Task::settings(name, &input, &Options::default(), base);
        assert!(error.is_err(), "{name}");
    }
    assert!(refusal(&pod(&json!({"containers": []}))).contains("no container is left"));
}

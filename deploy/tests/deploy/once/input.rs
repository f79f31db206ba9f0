//! Which inputs are taken, and what is said of those that are not.

use node_annotator_deploy::once::{Input, Options};
use serde_json::{Value, json};

use super::{container, made, manifests, of, one, pod, refusal, task};

fn job(spec: &Value) -> Value {
    let mut job = json!({"kind": "Job", "metadata": {"name": "x"}, "spec": {
        "template": {"spec": one(&json!({}))},
    }});
    job["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    job
}

fn refused_documents(documents: Vec<Value>) -> String {
    Input::of_documents(documents).unwrap_err().to_string()
}

#[test]
fn a_pod_is_found_in_each_kind() {
    let spec = one(&json!({}));
    let plain = made(&pod(&spec), &Options::default());
    let template = json!({"spec": spec});
    for object in [
        job(&json!({})),
        json!({"kind": "CronJob", "metadata": {"name": "x"}, "spec": {
            "schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}},
        }}),
        json!({"kind": "List", "items": [job(&json!({}))]}),
    ] {
        assert_eq!(made(&of(object.clone()), &Options::default()).containers, plain.containers, "{object}");
    }
    let command = Input::of_command("main", "busybox", &["true".to_owned()], false);
    assert_eq!(made(&command, &Options::default()).containers, plain.containers);
}

#[test]
fn a_job_says_how_long_and_how_often() {
    let input =
        of(job(&json!({"activeDeadlineSeconds": 90, "backoffLimit": 0, "ttlSecondsAfterFinished": 1})));
    let args = |options: &Options| made(&input, options).containers[0].args.clone().unwrap();
    assert!(
        ["--timeout=90s", "--tries=1"]
            .iter()
            .all(|arg| args(&Options::default()).contains(&(*arg).to_owned()))
    );
    let options = Options { tries: Some(5), ..Options::default() };
    assert!(args(&options).contains(&"--tries=5".to_owned()));
    assert!(input.said()[0].contains("ttlSecondsAfterFinished"), "{:?}", input.said());
}

#[test]
fn what_a_job_can_mean_and_a_daemon_set_cannot_is_refused() {
    for (spec, words) in [
        (json!({"parallelism": 2}), "`parallelism` has no meaning here"),
        (json!({"completions": 3}), "`completions` has no meaning here"),
        (json!({"completionMode": "Indexed"}), "`completionMode`"),
        (json!({"podFailurePolicy": {"rules": []}}), "`podFailurePolicy`"),
        (json!({"successPolicy": {"rules": []}}), "`successPolicy`"),
        (json!({"backoffLimitPerIndex": 1}), "`backoffLimitPerIndex`"),
        (json!({"suspend": true}), "it is suspended"),
    ] {
        let text = refused_documents(vec![job(&spec)]);
        assert!(text.contains(words), "{text}");
    }
    assert!(Input::of_documents(vec![job(&json!({"parallelism": 1, "completions": 1}))]).is_ok());
}

#[test]
fn a_schedule_is_said() {
    let cron = json!({"kind": "CronJob", "metadata": {"name": "nightly"}, "spec": {
        "schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": one(&json!({}))}}},
    }});
    assert!(of(cron).said()[0].contains("the schedule `0 3 * * *` of CronJob `nightly` is left out"));
}

#[test]
fn documents_that_are_no_task_are_refused() {
    for (documents, words) in [
        (vec![], "there is no Pod, Job, CronJob or DaemonSet in it"),
        (vec![json!({"kind": "Service", "metadata": {"name": "s"}})], "`Service/s`: a task is"),
        (vec![json!({"a": 1})], "has no `kind`"),
        (vec![json!({"kind": "Pod", "metadata": {"name": "p"}})], "there is no pod in it"),
        (vec![job(&json!({})), job(&json!({}))], "there is a Job before it"),
    ] {
        let text = refused_documents(documents);
        assert!(text.contains(words), "{text}");
    }
    let text = refusal(&pod(&json!({"containers": [{"name": 1}]})));
    assert!(text.contains("it is none: invalid type"), "{text}");
}

#[test]
fn a_field_that_would_be_lost_is_refused() {
    for (spec, path) in [
        (one(&json!({"imag": "x"})), "containers[0].imag"),
        (one(&json!({"securityContext": {"privilege": true}})), "containers[0].securityContext.privilege"),
        (json!({"containers": [container("a")], "hostPid": true}), "hostPid"),
    ] {
        let text = refusal(&pod(&spec));
        assert!(text.starts_with(&format!("the field `{path}`")), "{text}");
    }
}

#[test]
fn what_a_task_cannot_have_is_refused_with_what_to_do() {
    let with = |field: &str, value: Value| {
        let mut spec = one(&json!({}));
        spec[field] = value;
        spec
    };
    let affinity = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname"},
    ]}});
    let token =
        json!([{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]);
    for (spec, words) in [
        (
            with("serviceAccountName", json!("deployer")),
            "`serviceAccountName`: the containers of a task never get a token",
        ),
        (with("automountServiceAccountToken", json!(true)), "the token would be that of our account"),
        (with("shareProcessNamespace", json!(true)), "could look into ours"),
        (with("nodeName", json!("worker-1")), "--node-selector kubernetes.io/hostname=worker-1"),
        (with("os", json!({"name": "windows"})), "linux only"),
        (with("affinity", affinity), "a required affinity to pods"),
        (with("volumes", token), "it mounts a token"),
        (with("volumes", json!([{"name": "node-annotator-state", "emptyDir": {}}])), "are ours"),
        (with("schedulingGates", json!([{"name": "g"}])), "nobody would open them"),
        (one(&json!({"stdin": true})), "for a person who is there"),
        (one(&json!({"tty": true})), "for a person who is there"),
        (one(&json!({"command": null})), "its command is in the image alone"),
        (one(&json!({"command": null, "args": ["x"]})), "its command is in the image alone"),
        (one(&json!({"image": null})), "it has no image"),
        (one(&json!({"name": "node-annotator-copy"})), "are ours"),
        (one(&json!({"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}})), "`lifecycle` is about"),
        (one(&json!({"env": [{"name": "NODE_ANNOTATOR_FACTS", "value": "/x"}]})), "is ours"),
        (
            one(&json!({"volumeMounts": [{"name": "v", "mountPath": "/.node-annotator/state/"}]})),
            "mount it elsewhere",
        ),
    ] {
        let text = refusal(&pod(&spec));
        assert!(text.contains(words), "{text}");
    }
    for spec in [with("serviceAccountName", json!("default")), with("restartPolicy", json!("Never"))] {
        assert!(task(&pod(&spec), &Options::default()).is_ok(), "{spec}");
    }
}

#[test]
fn what_a_pod_refers_to_is_copied_or_refused_by_name() {
    let mut spec = one(&json!({
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "env-secret", "key": "k"}}}],
        "envFrom": [{"configMapRef": {"name": "env-map"}}, {"configMapRef": {"name": "maybe", "optional": true}}],
    }));
    spec["volumes"] = json!([
        {"name": "a", "configMap": {"name": "map"}},
        {"name": "b", "secret": {"secretName": "secret"}},
        {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "d", "projected": {"sources": [
            {"configMap": {"name": "kube-root-ca.crt"}}, {"secret": {"name": "projected"}},
        ]}},
    ]);
    spec["imagePullSecrets"] = json!([{"name": "pull"}]);
    let wanted = [
        ("ConfigMap", "env-map"),
        ("ConfigMap", "map"),
        ("PersistentVolumeClaim", "claim"),
        ("Secret", "env-secret"),
        ("Secret", "projected"),
        ("Secret", "pull"),
        ("Secret", "secret"),
    ];
    let object = |kind: &str, name: &str| {
        json!({
            "apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "apps", "uid": "1"},
        })
    };
    for left_out in 0..wanted.len() {
        let mut input = pod(&spec);
        let given = wanted.iter().enumerate().filter(|(index, _)| *index != left_out);
        input.add(given.map(|(_, (kind, name))| object(kind, name)).collect()).unwrap();
        let (kind, name) = wanted[left_out];
        let text = refusal(&input);
        let command = format!("kubectl get {} {name} --namespace apps -o yaml", kind.to_lowercase());
        assert!(text.starts_with(&format!("{kind} `{name}`")) && text.contains(&command), "{text}");
    }
    let mut input = pod(&spec);
    input.add(wanted.iter().map(|(kind, name)| object(kind, name)).collect()).unwrap();
    let manifests = manifests(&input, &Options::default());
    let copied: Vec<_> = manifests
        .objects()
        .filter(|object| wanted.iter().any(|(kind, _)| *kind == object.kind()))
        .map(|object| {
            let metadata = object.metadata();
            assert_eq!((metadata.namespace.as_deref(), &metadata.uid), (Some("once-tune"), &None));
            (object.kind(), metadata.name.clone().unwrap())
        })
        .collect();
    let mut expected = wanted.map(|(kind, name)| (kind, name.to_owned()));
    expected.sort();
    assert_eq!(copied, expected);
    input.add(vec![object("Secret", "other")]).unwrap();
    assert!(refusal(&input).contains("`Secret/other`: the pod does not refer to it"));
    assert!(input.add(vec![json!({"kind": "Role", "metadata": {"name": "r"}})]).is_err());
}

#[test]
fn of_a_daemon_set_what_only_waits_is_left_out_and_what_serves_is_refused() {
    let set = |init: Value, main: Value| {
        of(json!({"kind": "DaemonSet", "metadata": {"name": "x"}, "spec": {
            "template": {"spec": {"initContainers": init, "containers": main}},
        }}))
    };
    let pause = json!([{"name": "pause", "image": "registry.k8s.io/pause:3.10"}]);
    let input = set(json!([container("work")]), pause.clone());
    assert_eq!(input.said(), ["the container `pause` is left out: it only waits"]);
    let pod = made(&input, &Options::default());
    assert_eq!(pod.containers.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["work"]);
    let serves = json!([{"name": "agent", "image": "agent", "command": ["/agent"]}]);
    let text = refusal(&set(json!([container("work")]), serves));
    assert!(text.starts_with("container `agent`: it serves"), "{text}");
    let text = refusal(&set(json!([]), pause));
    assert!(text.contains("no container is left"), "{text}");
}

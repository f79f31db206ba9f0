//! `manifests`: flags that make sense make manifests, and the others a usage error and nothing else.

use std::process::{Command, Output};

use serde_json::Value;

use crate::process::{run, stderr, stdout};

fn manifests(arguments: &[&str]) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_node-annotator")).arg("manifests").args(arguments))
}

fn objects(arguments: &[&str]) -> Vec<Value> {
    let output = manifests(&[arguments, &["-o", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(list["kind"], "List");
    list["items"].as_array().expect("items").clone()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn each_flag_reaches_the_objects() {
    let objects = objects(&[
        "--collectors=kernel,cpu-model",
        "--prefix=facts.example.com",
        "--namespace=facts",
        "--image=registry.example.com/facts:1",
        "--image-pull-policy=Always",
        "--image-pull-secret=credentials",
        "--generation=2",
        "--combined",
        "--node-selector=example.com/pool=a",
        "--exclude-control-plane",
        "--trust-sandbox",
        "--stamp-day",
    ]);
    let sets = of_kind(&objects, "DaemonSet");
    let [set] = sets[..] else { panic!("one DaemonSet for both: {sets:?}") };
    assert_eq!(set["metadata"]["namespace"], "facts");
    let pod = &set["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "registry.example.com/facts:1");
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(pod["imagePullSecrets"][0]["name"], "credentials");
    assert_eq!(pod["nodeSelector"]["example.com/pool"], "a");
    let arguments = container["args"].to_string();
    for argument in [
        "--collectors=cpu-model,kernel",
        "--prefix=facts.example.com",
        "--generation=2",
        "--linger",
        "--trust-sandbox",
        "--stamp-day",
    ] {
        assert!(arguments.contains(argument), "{arguments}");
    }
    let affinity = pod["affinity"].to_string();
    for part in [
        "facts.example.com/kernel",
        "\"2\"",
        "node-role.kubernetes.io/control-plane",
        "facts.example.com/opt-out",
    ] {
        assert!(affinity.contains(part), "{affinity}");
    }
}

#[test]
fn each_flag_about_nodes_and_pods_reaches_the_objects() {
    let objects = objects(&[
        "--collectors=kernel",
        "--arch=amd64,arm64",
        "--exclude=example.com/pool=gpu",
        "--exclude=example.com/edge,example.com/spare",
        "--tolerations=dedicated=db:NoSchedule,gpu",
        "--priority-class=system-node-critical",
        "--pod-label=example.com/team=platform,example.com/tier=1",
        "--pod-annotation=example.com/note=one, two",
    ]);
    assert!(of_kind(&objects, "PriorityClass").is_empty());
    let template = &of_kind(&objects, "DaemonSet")[0]["spec"]["template"];
    let (metadata, pod) = (&template["metadata"], &template["spec"]);
    assert_eq!(metadata["labels"]["example.com/team"], "platform");
    assert_eq!(metadata["labels"]["example.com/tier"], "1");
    assert_eq!(metadata["annotations"]["example.com/note"], "one, two");
    assert_eq!(pod["priorityClassName"], "system-node-critical");
    assert_eq!(pod["tolerations"].as_array().map(Vec::len), Some(2));
    let affinity = pod["affinity"].to_string();
    for part in [
        r#"{"key":"example.com/pool","operator":"NotIn","values":["gpu"]}"#,
        r#"{"key":"example.com/edge","operator":"DoesNotExist"}"#,
        r#"{"key":"example.com/spare","operator":"DoesNotExist"}"#,
        r#"{"key":"kubernetes.io/arch","operator":"In","values":["amd64","arm64"]}"#,
    ] {
        assert!(affinity.contains(part), "{affinity}");
    }
}

#[test]
fn the_startup_taint_is_that_of_the_installation_unless_it_is_named() {
    let own = "startup-taint.cluster-autoscaler.kubernetes.io/node-annotator";
    for (arguments, key) in [
        (&["--startup-taint", "--collectors=kernel"][..], own.to_owned()),
        (&["--startup-taint", "--namespace=facts"], format!("{own}-facts")),
        (&["--startup-taint=example.com/starting"], "example.com/starting".to_owned()),
        (&["--startup-taint", "example.com/starting"], "example.com/starting".to_owned()),
    ] {
        let objects = objects(arguments);
        let policies = of_kind(&objects, "MutatingAdmissionPolicy");
        assert!(policies[0]["spec"].to_string().contains(&format!("taint.key == '{key}'")), "{policies:?}");
        assert_eq!(of_kind(&objects, "MutatingAdmissionPolicyBinding").len(), 1);
    }
    let output = manifests(&["--startup-taint"]);
    assert!(stderr(&output).starts_with("warning: a node on which a collector is given up keeps"));
    let removing = manifests(&["--startup-taint", "--startup-taint-on-failure=remove"]);
    assert_eq!(stderr(&removing), "");
    assert!(of_kind(&objects(&[]), "MutatingAdmissionPolicy").is_empty());
}

#[test]
fn a_daemon_set_and_a_namespace_for_each_privilege_class_unless_more_is_asked_for() {
    let counts =
        |objects: &[Value]| (of_kind(objects, "DaemonSet").len(), of_kind(objects, "Namespace").len());
    // One that asks a metadata service, and one that reads files.
    let selection = "--collectors=digital-ocean-anchor-ip,kernel";
    for combined in [&[selection][..], &[selection, "--layout=combined"], &[selection, "--combined"]] {
        assert_eq!(counts(&objects(combined)), (1, 1), "{combined:?}");
    }
    assert_eq!(counts(&objects(&[selection, "--host-network"])), (2, 2));
    assert_eq!(counts(&objects(&[selection, "--layout=per-collector"])), (2, 1));
    assert_eq!(counts(&objects(&[selection, "--layout=per-collector", "--host-network"])), (2, 2));
}

#[test]
fn the_layout_is_a_variable_too() {
    let layout = |name: &str, value: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_node-annotator"));
        stdout(&run(command.args(["manifests", "--collectors=kernel,cpu-model"]).env(name, value)))
    };
    assert_eq!(layout("NODE_ANNOTATOR_LAYOUT", "per-collector").matches("kind: DaemonSet").count(), 2);
    for (name, value) in [("NODE_ANNOTATOR_COMBINED", "true"), ("NODE_ANNOTATOR_LAYOUT", "combined")] {
        assert_eq!(layout(name, value).matches("kind: DaemonSet").count(), 1);
    }
}

#[test]
fn leaving_out_the_policy_is_said_twice() {
    let output = manifests(&["--no-policy"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).starts_with("warning: there is no admission policy"), "{}", stderr(&output));
    assert!(stdout(&output).contains("# Warning: there is no admission policy"));
    assert!(of_kind(&objects(&["--no-policy"]), "ValidatingAdmissionPolicy").is_empty());
    assert_eq!(of_kind(&objects(&[]), "ValidatingAdmissionPolicy").len(), 1);
}

#[test]
fn what_no_cluster_would_take_is_a_usage_error() {
    for (arguments, message) in [
        (&["--collectors=kernal"][..], "did you mean `kernel`?"),
        (&["--prefix=Facts"], "not a DNS subdomain"),
        (&["--prefix=k8s.io"], "belongs to Kubernetes"),
        (&["--generation=saved"], "pick another value"),
        (&["--generation=a b"], "not a label value"),
        (&["--namespace=default"], "shared with others"),
        (&["--namespace=kube-system"], "shared with others"),
        (&["--namespace=A"], "cannot name the namespace"),
        (&["--image=not an image"], "not an image reference"),
        (&["--image-pull-policy=Sometimes"], "IfNotPresent"),
        (&["--image-pull-secret=A_B"], "image pull secret"),
        (&["--node-selector=pool"], "KEY=VALUE"),
        (&["--node-selector=k8s.haim.dev/kernel=saved"], "never run"),
        (&["--generation=2.r3"], "leave out the `.r`"),
        (&["--combined", "--layout=per-collector"], "contradict each other"),
        (&["--layout=each"], "possible values: combined, per-collector"),
        (&["--node-selector=pool=a,pool=b"], "two values: `a` and `b`"),
        (&["--pod-label=a=1", "--pod-label=a=2"], "two values"),
        (&["--arch=x86_64"], "Kubernetes calls it `amd64`"),
        (&["--exclude=kubernetes.io/os=linux"], "every node that could run"),
        (&["--exclude=a b"], "not that of a label"),
        (&["--tolerations=gpu:Always"], "valid effects: NoSchedule"),
        (&["--startup-taint=a b"], "write `own`, or the key of a taint"),
        (&["--startup-taint", "node.kubernetes.io/not-ready"], "taints of Kubernetes itself"),
        (&["--startup-taint", "--no-policy"], "leave out `--no-policy`"),
        (&["--startup-taint-on-failure=remove"], "add --startup-taint"),
        (&["--priority-class=A"], "the name of a PriorityClass"),
        (&["--pod-label=app.kubernetes.io/name=mine"], "the DaemonSet finds its pods"),
        (&["--pod-annotation=note"], "an `=` is missing"),
        (&["--fact=rack"], "add it to the list: --collectors default,files"),
        (&["--collectors=files", "--fact=Rack"], "fact `Rack`: the name is not in kebab case"),
        (&["--collectors=files", "--fact=error"], "the name is reserved"),
        (&["--collectors=files", "--fact=rack", "--retired-fact=rack"], "declared or retired twice"),
        (&["--collectors=files", "--facts-dir=facts.d"], "not an absolute path"),
        (&["--collectors=files", "--facts-dir=/proc/facts"], "there without being declared"),
        (&["--labels=virt", "--node-selector=k8s.haim.dev/virt.value=kvm"], "no new node has it"),
        (&["--labels=kernel.build"], "it is text for people"),
        (&["--labels=kernel.majr"], "has no such fact\nvalid: kernel, "),
        (&["--collectors=virt", "--labels=kernel"], "is not selected\nselected: virt"),
        (
            &["--collectors=digital-ocean-anchor-ip", "--labels=digital-ocean-anchor-ip"],
            "another one on every node",
        ),
        (&["--collectors=files", "--fact=rack", "--labels=files.rack"], "it is text for people"),
        (&["-o", "toml"], "possible values: yaml, json"),
    ] {
        let output = manifests(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn facts_of_the_operator_are_told_to_pod_and_policy() {
    let arguments =
        ["--collectors=files", "--fact=rack,row", "--retired-fact=shelf", "--facts-dir=/opt/site/facts"];
    let objects = objects(&arguments);
    let daemon_set = of_kind(&objects, "DaemonSet")[0];
    let pod = &daemon_set["spec"]["template"]["spec"];
    let environment = pod["containers"][0]["env"].as_array().unwrap();
    let told =
        |name: &str| environment.iter().find(|variable| variable["name"] == name).unwrap()["value"].clone();
    assert_eq!(told("NODE_ANNOTATOR_FACT"), "rack,row");
    assert_eq!(told("NODE_ANNOTATOR_RETIRED_FACT"), "shelf");
    assert_eq!(told("NODE_ANNOTATOR_FACTS_DIR"), "/opt/site/facts");
    let mounts: Vec<_> =
        pod["volumes"].as_array().unwrap().iter().map(|volume| &volume["hostPath"]["path"]).collect();
    assert!(mounts.contains(&&Value::from("/opt")), "{mounts:?}");
    let policy = of_kind(&objects, "ValidatingAdmissionPolicy")[0].to_string();
    for key in ["files.rack", "files.row", "files.shelf"] {
        assert!(policy.contains(&format!("k8s.haim.dev/{key}")), "{key}");
    }
}

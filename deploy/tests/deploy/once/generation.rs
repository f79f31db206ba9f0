//! The value of the done label: of the input, and of nothing else.

use node_annotator_core::NamedFacts;
use node_annotator_deploy::once::{Input, Options, generation};
use serde_json::{Value, json};

use super::{of, one, pod};

fn value(input: &Input, options: &Options) -> String {
    generation(input, options).as_str().to_owned()
}

/// A node that these have marked is done with them. Should a value here change, every task of everybody runs
/// again with the next version.
#[test]
fn no_version_runs_a_task_again() {
    let command = ["sysctl", "-w", "vm.max_map_count=262144"].map(str::to_owned);
    let input = Input::of_command("tune", "busybox:1.36", &command, false);
    assert_eq!(value(&input, &Options::default()), "hab65ae76cdcd3287");
    let job: Value = serde_json::from_str(include_str!("job.json")).unwrap();
    let mut input = of(job);
    input
        .add(vec![json!({"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}})])
        .unwrap();
    let options = Options {
        facts: NamedFacts { names: vec!["size".to_owned()], ..NamedFacts::default() },
        check: Some(vec!["test".to_owned(), "-e".to_owned(), "/done".to_owned()]),
        ..Options::default()
    };
    assert_eq!(value(&input, &options), "h802157bea1444319");
}

#[test]
fn what_says_the_same_in_other_words_does_not_run_again() {
    let plain = value(&pod(&one(&json!({}))), &Options::default());
    for change in [json!({"resources": {}}), json!({"env": null}), json!({"volumeMounts": []})] {
        assert_eq!(value(&pod(&one(&change)), &Options::default()), plain, "{change}");
    }
    let spec = one(&json!({}));
    let template = json!({"metadata": {"creationTimestamp": null}, "spec": spec});
    for object in [
        json!({"kind": "Pod", "metadata": {"name": "other", "labels": {"a": "b"}}, "spec": spec, "status": {}}),
        json!({"kind": "Job", "metadata": {"name": "x"}, "spec": {"template": template, "backoffLimit": 1}}),
    ] {
        assert_eq!(value(&of(object), &Options::default()), plain);
    }
    let numbers = |cpu: Value| one(&json!({"resources": {"requests": {"cpu": cpu}}}));
    let [text, number] = [json!("1"), json!(1)].map(|cpu| pod(&numbers(cpu)));
    assert_ne!(value(&text, &Options::default()), plain);
    assert_eq!(value(&text, &Options::default()), value(&number, &Options::default()));
}

#[test]
fn where_it_runs_and_how_often_it_is_tried_do_not_run_it_again() {
    let mut spec = one(&json!({}));
    let plain = value(&pod(&spec), &Options::default());
    spec["nodeSelector"] = json!({"pool": "a"});
    spec["tolerations"] = json!([{"operator": "Exists"}]);
    spec["affinity"] = json!({"nodeAffinity": {}});
    assert_eq!(value(&pod(&spec), &Options::default()), plain);
    let options = Options { tries: Some(7), hides_output: true, ..Options::default() };
    assert_eq!(value(&pod(&spec), &options), plain);
}

#[test]
fn what_it_does_runs_it_again() {
    let mut seen = vec![value(&pod(&one(&json!({}))), &Options::default())];
    for change in [
        json!({"image": "busybox:2"}),
        json!({"command": ["false"]}),
        json!({"args": ["x"]}),
        json!({"env": [{"name": "A", "value": "1"}]}),
        json!({"securityContext": {"privileged": true}}),
    ] {
        seen.push(value(&pod(&one(&change)), &Options::default()));
    }
    let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    for options in [
        Options { check: Some(named(&["true"])), ..Options::default() },
        Options { facts: NamedFacts { names: named(&["a"]), ..NamedFacts::default() }, ..Options::default() },
        Options {
            facts: NamedFacts { retired: named(&["a"]), ..NamedFacts::default() },
            ..Options::default()
        },
        Options { is_per_boot: true, ..Options::default() },
    ] {
        seen.push(value(&pod(&one(&json!({}))), &options));
    }
    let mount = json!({"envFrom": [{"configMapRef": {"name": "c"}}]});
    for data in ["1", "2"] {
        let mut input = pod(&one(&mount));
        input
            .add(vec![json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": data}})])
            .unwrap();
        seen.push(value(&input, &Options::default()));
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

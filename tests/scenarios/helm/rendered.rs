//! What the chart renders to is what `manifests` prints, but for what is listed here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use node_annotator_deploy::policy::SETTINGS_ANNOTATION;
use node_annotator_tests::annotator_binary;
use serde_json::Value;

use super::{Helm, VERSIONS, chart, objects};

/// Values of the chart, and the flags of `manifests` that say the same.
struct Pair {
    namespace: &'static str,
    values: &'static str,
    flags: &'static str,
}

const fn pair(namespace: &'static str, values: &'static str, flags: &'static str) -> Pair {
    Pair { namespace, values, flags }
}

/// Each value at least once with another than its default, and those together that depend on each other.
const PAIRS: [Pair; 17] = [
    pair("node-annotator", "{}", ""),
    pair(
        "node-annotator",
        "{collectors: [all], layout: per-collector}",
        "--collectors all --layout per-collector",
    ),
    pair("facts", "{collectors: [all]}", "--namespace facts --collectors all"),
    // All facts together fit into one write, and no collector is of a later revision.
    pair("node-annotator", "{collectors: [cpu-model, virt]}", "--collectors cpu-model,virt"),
    pair("node-annotator", "{collectors: [-kernel, -disk]}", "--collectors=-kernel,-disk"),
    // No pod runs in the namespace of the release.
    pair("facts", "{collectors: [os], expire: {schedule: '@daily'}}", "--namespace facts --collectors os --expire @daily"),
    pair(
        "facts",
        "{generation: '7', prefix: facts.example.com, stampDay: true, expire: {schedule: '@daily', maxAge: 30d}}",
        "--namespace facts --generation 7 --prefix facts.example.com --stamp-day --expire @daily --expire-max-age 30d",
    ),
    pair(
        "node-annotator",
        "{hostNetwork: true, layout: per-collector, expire: {schedule: 0 3 * * 1-5}}",
        "--host-network --layout per-collector --expire 0~3~*~*~1-5",
    ),
    pair(
        "node-annotator",
        "{hostNetwork: true, labels: [nfd, virt, cpu-model.vendor, kernel.major], collectors: [default, pci]}",
        "--host-network --labels nfd,virt,cpu-model.vendor,kernel.major --collectors default,pci",
    ),
    pair(
        "facts",
        "{labels: [nfd], prefix: a.example.com, collectors: [kernel, lsm], layout: per-collector}",
        "--namespace facts --labels nfd --prefix a.example.com --collectors kernel,lsm --layout per-collector",
    ),
    pair("facts", "{startupTaint: {enabled: true}}", "--namespace facts --startup-taint"),
    pair(
        "node-annotator",
        "{startupTaint: {enabled: true, key: example.com/starting, onFailure: remove}, collectors: [cpu-model],
          tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}], labels: [cpu-model.vendor]}",
        "--startup-taint example.com/starting --startup-taint-on-failure remove --collectors cpu-model
         --tolerations gpu:NoSchedule --labels cpu-model.vendor",
    ),
    pair(
        "node-annotator",
        "{startupTaint: {enabled: true, onFailure: remove}, generation: blue, collectors: [all], labels: [virt]}",
        "--startup-taint --startup-taint-on-failure remove --generation blue --collectors all --labels virt",
    ),
    pair(
        "node-annotator",
        "{policy: {enabled: false}, flowSchema: {enabled: false}, priorityClassName: none, tolerations: [],
          expire: {schedule: '@hourly'}}",
        "--no-policy --no-flow-schema --priority-class none --tolerations none --expire @hourly",
    ),
    pair(
        "facts",
        "{image: {repository: registry.example.com:5000/facts, tag: '2', pullPolicy: Always, pullSecrets: [one, two],
           digest: 'sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'},
          arch: [arm64], podLabels: {team: nodes}, podAnnotations: {example.com/a: some text},
          expire: {schedule: '@daily'}, giveUpAfter: 2h}",
        "--namespace facts --image-pull-policy Always --image-pull-secret one,two --arch arm64 --pod-label team=nodes
         --image registry.example.com:5000/facts:2@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
         --pod-annotation example.com/a=some~text --expire @daily --give-up-after 2h",
    ),
    pair(
        "node-annotator",
        "{arch: [arm64, amd64], nodeSelector: {pool: workers, example.com/zone: a}, excludeControlPlane: true,
          exclude: [type=edge, spot, disk=, disk=ssd, liqo.io/type], priorityClassName: system-node-critical,
          trustSandbox: true, giveUpAfter: never}",
        "--arch arm64,amd64 --node-selector pool=workers,example.com/zone=a --exclude-control-plane
         --exclude type=edge,spot,disk=,disk=ssd,liqo.io/type --priority-class system-node-critical --trust-sandbox
         --give-up-after never",
    ),
    pair(
        "node-annotator",
        "{collectors: [default, dns-name], env: {DIGITAL_OCEAN_METADATA_URL: 'http://10.0.0.1/v1.json'}}",
        "--collectors default,dns-name --env DIGITAL_OCEAN_METADATA_URL=http://10.0.0.1/v1.json",
    ),
];

/// Values that no flag of `manifests` says: they are looked at elsewhere.
const WITHOUT_FLAG: [&str; 3] = ["allowForeignPrefix", "prometheusRule", "resources"];

/// Flags of `manifests` that no value says; the README of the chart names them.
const WITHOUT_VALUE: [&str; 6] =
    ["allow-foreign-prefix", "fact", "facts-dir", "output", "retired-fact", "static-policy"];

#[test]
fn the_chart_renders_to_the_manifests_but_for_what_is_listed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for tool in VERSIONS {
        let helm = Helm::alone(tool, folder.path())?;
        for Pair { namespace, values, flags } in &PAIRS {
            let wanted = by_name(manifests(flags)?)?;
            let rendered = template(&helm, folder.path(), namespace, values)?;
            let is_test = |object: &Value| object["metadata"]["annotations"]["helm.sh/hook"] == "test";
            let rendered: Vec<_> = rendered.into_iter().filter(|object| !is_test(object)).collect();
            let found = differences(&wanted, &by_name(rendered)?);
            let allowed = allowed(&wanted, namespace);
            ensure!(
                found == allowed,
                "{tool:?}: {values}\nnot allowed: {:#?}\nmissing: {:#?}",
                found.difference(&allowed).collect::<Vec<_>>(),
                allowed.difference(&found).collect::<Vec<_>>()
            );
        }
    }
    Ok(())
}

#[test]
fn every_value_and_every_flag_is_in_a_pair_or_in_the_other_list() -> Result<()> {
    let read = |text: &str| -> Result<Value> {
        serde_saphyr::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))
    };
    let keys = |value: Value| {
        value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>()
    };
    let values = keys(read(&std::fs::read_to_string(chart().join("values.yaml"))?)?);
    let mut in_pairs: BTreeSet<_> = WITHOUT_FLAG.map(str::to_owned).into();
    for pair in &PAIRS {
        in_pairs.extend(keys(read(pair.values)?));
    }
    ensure!(in_pairs == values.into_iter().collect(), "{in_pairs:?}");

    let help = Command::new(annotator_binary()?).args(["manifests", "--help"]).output()?.stdout;
    let help = String::from_utf8(help)?;
    let flags_of = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| c.is_whitespace() || ",=[`".contains(c));
        words.filter_map(|word| word.strip_prefix("--")).map(str::to_owned).collect()
    };
    let options = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let mut offered: BTreeSet<_> =
        options.flat_map(|line| flags_of(line.split("  ").next().unwrap_or_default())).collect();
    offered.remove("help");
    let mut in_pairs: BTreeSet<_> = PAIRS.iter().flat_map(|pair| flags_of(pair.flags)).collect();
    in_pairs.extend(WITHOUT_VALUE.map(str::to_owned));
    // They are the same for all commands.
    offered.retain(|flag| !flag.starts_with("color"));
    ensure!(in_pairs == offered, "in pairs: {in_pairs:?}\noffered: {offered:?}");
    let readme = std::fs::read_to_string(chart().join("README.md"))?;
    for flag in WITHOUT_VALUE.iter().filter(|flag| !["allow-foreign-prefix", "output"].contains(flag)) {
        ensure!(readme.contains(&format!("`--{flag}`")), "the README does not say that there is no {flag}");
    }
    Ok(())
}

#[test]
fn rules_and_resources_are_those_that_are_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for tool in VERSIONS {
        let helm = Helm::alone(tool, folder.path())?;
        let values = "{prometheusRule: {enabled: true, labels: {release: kps}}, expire: {schedule: '@daily'},
                       resources: {requests: {cpu: 1m}, limits: {memory: 32Mi}}}";
        let rendered = template(&helm, folder.path(), "node-annotator", values)?;
        let of =
            |kind: &str| rendered.iter().find(|object| object["kind"] == kind).context("it is not there");
        let written = std::fs::read_to_string(chart().join("../../monitoring/prometheus-rule.yaml"))?;
        let written: Value = serde_saphyr::from_str(&written).map_err(|error| anyhow::anyhow!("{error}"))?;
        let rule = of("PrometheusRule")?;
        ensure!(rule["spec"] == written["spec"] && rule["metadata"]["labels"]["release"] == "kps", "{rule}");
        let pods = [
            &of("DaemonSet")?["spec"]["template"],
            &of("CronJob")?["spec"]["jobTemplate"]["spec"]["template"],
            of("Pod")?,
        ];
        for pod in pods {
            let resources = &pod["spec"]["containers"][0]["resources"];
            ensure!(resources["limits"] == serde_json::json!({ "memory": "32Mi" }), "{resources}");
        }
        // Another prefix has other labels, and so other metrics.
        let values = "{prometheusRule: {enabled: true}, prefix: a.example.com}";
        let rendered = template(&helm, folder.path(), "facts", values)?;
        let rule = rendered.iter().find(|object| object["kind"] == "PrometheusRule").context("no rule")?;
        let text = rule.to_string();
        ensure!(
            text.contains("label_a_example_com_kernel!=") && text.contains("facts|facts-privileged"),
            "{text}"
        );
    }
    Ok(())
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let refused = [
        ("default", "{}", "the namespace `default` is shared with others"),
        ("kube-system", "{}", "--namespace node-annotator --create-namespace"),
        ("facts-privileged", "{}", "leave out `-privileged`"),
        ("facts", "{colectors: [kernel]}", "colectors"),
        ("facts", "{image: {name: a}}", "name"),
        ("facts", "{collectors: [kernle]}", "no collector is named `kernle`"),
        ("facts", "{collectors: [kernel, -kernel]}", "selects nothing"),
        ("facts", "{collectors: kernel}", "collectors"),
        ("facts", "{prefix: Facts}", "prefix"),
        ("facts", "{prefix: node.kubernetes.io}", "belongs to Kubernetes"),
        ("facts", "{prefix: a.cilium.io}", "allowForeignPrefix insists"),
        ("facts", "{generation: saved}", "generation"),
        ("facts", "{generation: a.r2}", "generation"),
        ("facts", "{generation: \"a' || true\"}", "generation"),
        ("facts", "{labels: [kernel.nothing]}", "is no fact of the selected collectors"),
        ("facts", "{labels: [virt], collectors: [kernel]}", "valid: kernel"),
        ("facts", "{env: {NOTHING: a}}", "no selected collector reads `NOTHING`"),
        ("facts", "{startupTaint: {enabled: true}, policy: {enabled: false}}", "set policy.enabled"),
        ("facts", "{startupTaint: {enabled: true, key: node.kubernetes.io/a}}", "belongs to Kubernetes"),
        ("facts", "{startupTaint: {enabled: true, key: cilium.io/a}}", "belongs to others"),
        ("facts", "{exclude: [k8s.haim.dev/kernel]}", "say what is done"),
        ("facts", "{expire: {schedule: hourly}}", "schedule"),
        ("facts", "{expire: {schedule: '@hourly', maxAge: 30d}}", "needs expire.schedule, and stampDay"),
        ("facts", "{image: {digest: 'sha256:1'}}", "digest"),
    ];
    let file = folder.path().join("values.yaml");
    let (chart, values) = (chart().display().to_string(), file.display().to_string());
    for tool in VERSIONS {
        let helm = Helm::alone(tool, folder.path())?;
        let with = |namespace| {
            ["template", "x", &chart, "--values", &values, "--kube-version", "1.37.0", "-n", namespace]
        };
        for (namespace, text, said) in refused {
            std::fs::write(&file, text)?;
            let error = helm.refuse(&with(namespace))?;
            ensure!(error.contains(said), "{tool:?} {text}: {error}");
        }
        std::fs::write(&file, "{startupTaint: {enabled: true}}")?;
        let older = helm.refuse(&[
            "template",
            "x",
            &chart,
            "-f",
            &values,
            "--kube-version",
            "1.35.0",
            "-n",
            "facts",
        ])?;
        ensure!(older.contains("startupTaint needs Kubernetes 1.36"), "{older}");
        std::fs::write(&file, "{prefix: a.cilium.io, allowForeignPrefix: true}")?;
        helm.run(&with("facts"))?;
        let lint = helm.run(&["lint", "--strict", "-n", "facts", &chart])?;
        ensure!(lint.contains("1 chart(s) linted, 0 chart(s) failed"), "{lint}");
    }
    Ok(())
}

/// What the chart renders, without a cluster.
pub(super) fn template(helm: &Helm, folder: &Path, namespace: &str, values: &str) -> Result<Vec<Value>> {
    let file = folder.join("values.yaml");
    std::fs::write(&file, values)?;
    let (chart, file) = (chart(), file.display().to_string());
    let chart = chart.to_str().context("the path of the checkout is no text")?;
    // The one that a released helm takes for granted is linked into it.
    let cluster = ["--kube-version", "1.37.0", "--namespace", namespace];
    objects(&helm.run(&[&["template", "facts", chart, "--values", &file], &cluster[..]].concat())?)
}

/// What the command line prints for these flags; `~` stands for a space in a value.
fn manifests(flags: &str) -> Result<Vec<Value>> {
    let flags = flags.split_whitespace().map(|word| word.replace('~', " "));
    let output = Command::new(annotator_binary()?).args(["manifests", "-o", "json"]).args(flags).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout)?;
    Ok(list["items"].as_array().context("no list")?.clone())
}

/// By kind, namespace and name, with what the policy tells of itself read.
fn by_name(objects: Vec<Value>) -> Result<BTreeMap<String, Value>> {
    let mut named = BTreeMap::new();
    for mut object in objects {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
        let id = format!("{} {namespace}/{name}", text(&object["kind"]));
        if let Some(told) = metadata["annotations"][SETTINGS_ANNOTATION].as_str() {
            object["metadata"]["annotations"][SETTINGS_ANNOTATION] = serde_json::from_str(told)?;
        }
        ensure!(!has_null(&object), "a field says nothing, and some servers refuse it: {object}");
        ensure!(named.insert(id.clone(), object).is_none(), "there are two: {id}");
    }
    Ok(named)
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.iter().any(has_null),
        Value::Object(map) => map.values().any(has_null),
        _ => false,
    }
}

/// All that differs, a line each.
fn differences(wanted: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for id in wanted.keys().chain(found.keys()) {
        match (wanted.get(id), found.get(id)) {
            (Some(wanted), Some(found)) => compare(id, wanted, found, &mut lines),
            (Some(_), None) => drop(lines.insert(format!("{id}: missing"))),
            (None, _) => drop(lines.insert(format!("{id}: added"))),
        }
    }
    lines
}

fn compare(path: &str, wanted: &Value, found: &Value, lines: &mut BTreeSet<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for key in wanted.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&format!("{path}.{key}"), &of(wanted), &of(found), lines);
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(&format!("{path}[{index}]"), wanted, found, lines);
            }
        }
        _ if wanted != found => drop(lines.insert(format!("{path}: {wanted} is {found}"))),
        _ => {}
    }
}

/// The differences that there have to be, and no other.
fn allowed(wanted: &BTreeMap<String, Value>, namespace: &str) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (id, object) in wanted {
        // Helm makes the namespace of a release itself, and has no other object adopt it.
        if *id == format!("Namespace /{namespace}") {
            lines.insert(format!("{id}: missing"));
            continue;
        }
        let labels = format!("{id}.metadata.labels");
        lines.insert(format!("{labels}.app.kubernetes.io/managed-by: \"node-annotator\" is \"Helm\""));
        lines.insert(format!(
            "{labels}.helm.sh/chart: null is \"node-annotator-{}\"",
            env!("CARGO_PKG_VERSION")
        ));
        // One for all installations: it does not go with a release.
        if object["kind"] == "PriorityLevelConfiguration" {
            lines.insert(format!("{id}.metadata.annotations.helm.sh/resource-policy: null is \"keep\""));
        }
    }
    lines
}

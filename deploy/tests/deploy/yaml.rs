//! Whatever reads the text, it reads what was meant: kubectl's parser takes `on`, `0777` and `1e3` for
//! something else.

use k8s_openapi::api::apps::v1::DaemonSet;
use node_annotator_core::DoneMark;
use node_annotator_deploy::{Layout, Manifests, Object, Settings};
use serde_json::Value;

use crate::fakes::{ANCHOR_IP, CPU_MODEL, KERNEL, NIC, OS, PTR, settings};

/// Label values, all of them, that a YAML 1.1 reader takes for booleans, numbers, dates or nothing.
const TRAPS: [&str; 16] = [
    "on",
    "off",
    "yes",
    "No",
    "y",
    "N",
    "true",
    "null",
    "0777",
    "0x1F",
    "1e3",
    "1_000",
    "1.5",
    "2026-11-22",
    "007",
    "",
];

fn adversarial() -> Settings {
    let mut settings = Settings {
        layout: Layout::Combined,
        mark: DoneMark::Generation("1e3".parse().unwrap()),
        image_pull_secrets: vec!["on".to_owned(), "no".to_owned()],
        command: "evil\nkind: Secret".to_owned(),
        prefix: "0777.1e3".parse().unwrap(),
        installation: "0x1f".parse().unwrap(),
        ..settings(&[&KERNEL, &CPU_MODEL, &ANCHOR_IP, &PTR, &NIC, &OS])
    };
    for (index, value) in TRAPS.into_iter().enumerate() {
        settings.node_selector.insert(format!("example.com/trap-{index}"), value.to_owned());
        if !value.is_empty() {
            settings.node_selector.insert(value.to_owned(), value.to_owned());
        }
    }
    settings
}

/// The plain scalars of block YAML, keys included: what stands unquoted on a line, outside block scalars and
/// comments.
fn plain_scalars(text: &str) -> Vec<&str> {
    let mut scalars = Vec::new();
    let mut block_indent = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if block_indent.is_some_and(|block| line.is_empty() || indent > block) {
            continue;
        }
        block_indent = None;
        let mut rest = line.trim();
        if rest.starts_with('#') || rest == "---" || rest.is_empty() {
            continue;
        }
        let mut column = indent;
        while let Some(item) = rest.strip_prefix("- ") {
            (rest, column) = (item, column + 2);
        }
        let value = match rest.split_once(": ") {
            Some((key, value)) if !rest.starts_with(['"', '\'']) || key.ends_with(['"', '\'']) => {
                scalars.push(key);
                value
            }
            _ if rest.ends_with(':') => {
                scalars.push(rest.trim_end_matches(':'));
                continue;
            }
            _ => rest,
        };
        if value.starts_with(['|', '>']) {
            block_indent = Some(column);
        } else {
            scalars.push(value);
        }
    }
    scalars.retain(|scalar| !scalar.starts_with(['"', '\'', '{', '[']));
    scalars
}

/// Whether YAML 1.1 reads a plain scalar as something else than text.
fn is_typed(scalar: &str) -> bool {
    let lower = scalar.to_ascii_lowercase();
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "", "=", "<<"];
    let digits = scalar.trim_start_matches(['+', '-']);
    let number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().all(|c| c.is_ascii_hexdigit() || "_.:+-xobeE".contains(c));
    let special = [".inf", ".nan"].contains(&lower.trim_start_matches(['+', '-']));
    words.contains(&lower.as_str()) || number || special
}

/// All leaves that are not text, as YAML writes them.
fn typed_leaves(value: &Value, leaves: &mut Vec<String>) {
    match value {
        Value::String(_) => {}
        Value::Array(items) => items.iter().for_each(|item| typed_leaves(item, leaves)),
        Value::Object(fields) => fields.values().for_each(|field| typed_leaves(field, leaves)),
        leaf => leaves.push(leaf.to_string()),
    }
}

#[test]
fn what_looks_typed_is_typed() {
    assert!(["on", "0777", "1e3", "2026-11-22", "12:30", ".5", "-1", "~"].into_iter().all(is_typed));
    assert!(!["kernel", "100%", "5m", "16Mi", "v1", "v1.35", "--linger"].into_iter().any(is_typed));

    for settings in [adversarial(), settings(&[&KERNEL, &NIC])] {
        let manifests = Manifests::new(&settings).unwrap();
        let text = manifests.yaml().unwrap();
        let mut expected = Vec::new();
        for object in manifests.objects() {
            typed_leaves(&serde_json::to_value(object).unwrap(), &mut expected);
        }
        let mut found: Vec<_> =
            plain_scalars(&text).into_iter().filter(|scalar| is_typed(scalar)).map(str::to_owned).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }
}

#[test]
fn what_is_read_back_is_what_was_written() {
    let manifests = Manifests::new(&adversarial()).unwrap();
    let read: Vec<Value> = serde_saphyr::from_multiple(&manifests.yaml().unwrap()).unwrap();
    let written: Vec<Value> =
        manifests.objects().map(|object| serde_json::to_value(object).unwrap()).collect();
    assert_eq!(read, written);

    let list: Value = serde_json::from_str(&manifests.json().unwrap()).unwrap();
    assert_eq!((&list["apiVersion"], &list["kind"]), (&Value::from("v1"), &Value::from("List")));
    assert_eq!(list["items"].as_array().unwrap(), &written);

    let Some(Object::DaemonSet(daemon_set)) = manifests.objects().last() else {
        panic!("a DaemonSet comes last")
    };
    let typed: DaemonSet = serde_json::from_value(written.last().unwrap().clone()).unwrap();
    assert_eq!(typed, **daemon_set);
}

#[test]
fn no_object_has_a_status() {
    for object in Manifests::new(&adversarial()).unwrap().objects() {
        let object = serde_json::to_value(object).unwrap();
        assert!(object.get("status").is_none());
        assert_eq!(object["metadata"].get("creationTimestamp"), None);
    }
}

#[test]
fn the_same_settings_make_the_same_text() {
    let render = || Manifests::new(&adversarial()).unwrap().render().unwrap();
    assert_eq!(render(), render());
}

#[test]
fn every_file_says_which_command_made_it() {
    for (name, text) in Manifests::new(&settings(&[&KERNEL])).unwrap().render().unwrap() {
        let first = text.lines().next().unwrap();
        assert_eq!(first, "# Generated by `cargo xtask gen-manifests`; do not edit.", "{name}");
    }
    for (name, text) in Manifests::new(&adversarial()).unwrap().render().unwrap() {
        assert!(text.starts_with("# Generated by `evil kind: Secret`; do not edit.\n"), "{name}");
    }
}

//! The forms for issues: what GitHub does not understand in one, it shows as a plain text or not at all.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

const OF_FORM: [&str; 4] = ["name", "description", "labels", "body"];
const OF_FIELD: [&str; 4] = ["type", "id", "attributes", "validations"];
const OF_ATTRIBUTES: [&str; 4] = ["label", "description", "placeholder", "render"];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_forms_for_issues_are_as_github_documents_them() {
    let folder = xtask_workspace::root().join(".github/ISSUE_TEMPLATE");
    let mut count = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let form: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        if name == "config.yaml" {
            assert_eq!(keys(&form), ["blank_issues_enabled"], "{name}");
            assert!(form["blank_issues_enabled"].is_boolean(), "{name}");
            continue;
        }
        assert!(keys(&form).iter().all(|key| OF_FORM.contains(key)), "{name}: {:?}", keys(&form));
        assert!(form["name"].is_string() && form["description"].is_string(), "{name}");
        let (mut ids, mut labels) = (BTreeSet::new(), BTreeSet::new());
        for field in form["body"].as_array().unwrap() {
            let attributes = &field["attributes"];
            assert!(keys(field).iter().all(|key| OF_FIELD.contains(key)), "{name}: {field}");
            assert!(keys(attributes).iter().all(|key| OF_ATTRIBUTES.contains(key)), "{name}: {field}");
            assert!(["input", "textarea"].contains(&field["type"].as_str().unwrap()), "{name}: {field}");
            assert!(ids.insert(field["id"].as_str().unwrap()), "{name}: two fields have one id: {field}");
            assert!(labels.insert(attributes["label"].as_str().unwrap()), "{name}: {field}");
            let required = field.pointer("/validations/required");
            assert!(required.is_none_or(Value::is_boolean), "{name}: {field}");
            assert!(attributes.get("render").is_none() || field["type"] == "textarea", "{name}: {field}");
            count += 1;
        }
    }
    assert!(count >= 6, "{count} fields");
}

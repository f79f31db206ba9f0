//! A container's command and variables, as a kubelet resolves them. Pure.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};

/// What the Downward API tells beyond the pod object itself.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) host: String,
    pub(super) pod: String,
}

/// A container's own part of what it is started with.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Program (empty when the image decides) and arguments.
    pub(super) command: Vec<String>,
    /// Variables, in the order in which they are declared.
    pub(super) env: Vec<(String, String)>,
}

/// Expands the command, and resolves the variables.
pub(super) fn resolve(container: &Container, pod: &Pod, addresses: &Addresses) -> Result<Resolved> {
    ensure!(container.env_from.as_ref().is_none_or(Vec::is_empty), "envFrom is not simulated");
    let mut known = BTreeMap::new();
    let mut env = Vec::new();
    for variable in container.env.iter().flatten() {
        let value = value(variable, pod, addresses, &known)
            .with_context(|| format!("variable `{}`", variable.name))?;
        known.insert(variable.name.clone(), value.clone());
        env.push((variable.name.clone(), value));
    }
    let expanded = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| expand(word, &known)).collect()
    };
    let mut command = expanded(&container.command);
    if command.is_empty() {
        command.push(String::new());
    }
    command.extend(expanded(&container.args));
    Ok(Resolved { command, env })
}

fn value(
    variable: &EnvVar,
    pod: &Pod,
    addresses: &Addresses,
    known: &BTreeMap<String, String>,
) -> Result<String> {
    match (&variable.value, &variable.value_from) {
        (value, None) => Ok(expand(value.as_deref().unwrap_or_default(), known)),
        (_, Some(source)) => match &source.field_ref {
            Some(reference) => field(&reference.field_path, pod, addresses),
            None => bail!("only fieldRef is simulated"),
        },
    }
}

fn field(path: &str, pod: &Pod, addresses: &Addresses) -> Result<String> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    let entry =
        |map: &Option<BTreeMap<String, String>>, name: &str| text(map.as_ref().and_then(|map| map.get(name)));
    Ok(match path {
        "metadata.name" => text(metadata.name.as_ref()),
        "metadata.namespace" => text(metadata.namespace.as_ref()),
        "metadata.uid" => text(metadata.uid.as_ref()),
        "spec.nodeName" => text(spec.and_then(|spec| spec.node_name.as_ref())),
        "spec.serviceAccountName" => text(spec.and_then(|spec| spec.service_account_name.as_ref())),
        "status.hostIP" | "status.hostIPs" => addresses.host.clone(),
        "status.podIP" | "status.podIPs" => addresses.pod.clone(),
        _ => match subscript(path) {
            Some(("metadata.labels", name)) => entry(&metadata.labels, name),
            Some(("metadata.annotations", name)) => entry(&metadata.annotations, name),
            _ => bail!("no such field: `{path}`"),
        },
    })
}

/// `metadata.labels['a']` → (`metadata.labels`, `a`).
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

/// Replaces `$(NAME)` by a variable declared before; leaves unknown ones, and takes `$$` for `$`.
fn expand(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(position) = rest.find('$') {
        result.push_str(&rest[..position]);
        rest = &rest[position + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match known.get(name) {
                Some(value) => result.push_str(value),
                None => result.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            result.push('$');
        }
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved(container: serde_json::Value) -> Result<Resolved> {
        let pod = json!({
            "metadata": {"name": "p", "namespace": "ns", "labels": {"a": "b"}},
            "spec": {"nodeName": "n1", "containers": []},
        });
        let addresses = Addresses { host: "10.0.0.1".into(), pod: "10.1.0.1".into() };
        resolve(&serde_json::from_value(container)?, &serde_json::from_value(pod)?, &addresses)
    }

    #[test]
    fn fields_and_references() {
        let field =
            |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
        let Resolved { command, env } = resolved(json!({
            "name": "c",
            "args": ["--node=$(NODE_NAME)", "$(UNKNOWN)", "$$(NODE_NAME)", "100$"],
            "env": [
                field("NODE_NAME", "spec.nodeName"),
                field("LABEL", "metadata.labels['a']"),
                field("HOST", "status.hostIP"),
                {"name": "BOTH", "value": "$(NODE_NAME)/$(LABEL)/$(LATER)"},
                {"name": "LATER", "value": "x"},
            ],
        }))
        .unwrap();
        assert_eq!(command, ["", "--node=n1", "$(UNKNOWN)", "$(NODE_NAME)", "100$"]);
        let values: Vec<_> = env.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["n1", "b", "10.0.0.1", "n1/b/$(LATER)", "x"]);
    }

    #[test]
    fn what_is_not_simulated_is_an_error() {
        let secret = json!({"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
        let error = resolved(json!({"name": "c", "env": [secret]})).unwrap_err();
        assert_eq!(format!("{error:#}"), "variable `S`: only fieldRef is simulated");
    }
}

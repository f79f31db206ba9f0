//! What a pod refers to in its namespace. The output has another one, so each object is copied, or refused by
//! its name.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use node_annotator_core::PrivilegeClass;
use serde_json::Value;

use super::Input;
use crate::object::Copied;
use crate::{Error, Installation, Object};

const CONFIG_MAP: &str = "ConfigMap";
const SECRET: &str = "Secret";
const CLAIM: &str = "PersistentVolumeClaim";

/// In every namespace.
const EVERYWHERE: (&str, &str) = (CONFIG_MAP, "kube-root-ca.crt");

/// Kind and name of each object that must be there, with those that may be missing.
#[derive(Default)]
struct References {
    needed: BTreeSet<(&'static str, String)>,
    optional: BTreeSet<(&'static str, String)>,
}

impl References {
    fn add(&mut self, kind: &'static str, name: &str, optional: Option<bool>) {
        let set = if optional == Some(true) { &mut self.optional } else { &mut self.needed };
        set.insert((kind, name.to_owned()));
    }

    fn of(pod: &PodSpec) -> Self {
        let mut all = Self::default();
        for secret in pod.image_pull_secrets.iter().flatten() {
            all.add(SECRET, &secret.name, None);
        }
        for container in pod.init_containers.iter().flatten().chain(&pod.containers) {
            all.add_container(container);
        }
        for volume in pod.volumes.iter().flatten() {
            if let Some(map) = &volume.config_map {
                all.add(CONFIG_MAP, &map.name, map.optional);
            }
            if let Some((name, optional)) = volume
                .secret
                .as_ref()
                .and_then(|secret| Some((secret.secret_name.as_ref()?, secret.optional)))
            {
                all.add(SECRET, name, optional);
            }
            if let Some(claim) = &volume.persistent_volume_claim {
                all.add(CLAIM, &claim.claim_name, None);
            }
            let csi = volume.csi.as_ref().and_then(|csi| csi.node_publish_secret_ref.as_ref());
            if let Some(secret) = csi {
                all.add(SECRET, &secret.name, None);
            }
            for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
                if let Some(map) = &source.config_map {
                    all.add(CONFIG_MAP, &map.name, map.optional);
                }
                if let Some(secret) = &source.secret {
                    all.add(SECRET, &secret.name, secret.optional);
                }
            }
        }
        all
    }

    fn add_container(&mut self, container: &Container) {
        for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            if let Some(key) = &source.config_map_key_ref {
                self.add(CONFIG_MAP, &key.name, key.optional);
            }
            if let Some(key) = &source.secret_key_ref {
                self.add(SECRET, &key.name, key.optional);
            }
        }
        for source in container.env_from.iter().flatten() {
            if let Some(map) = &source.config_map_ref {
                self.add(CONFIG_MAP, &map.name, map.optional);
            }
            if let Some(secret) = &source.secret_ref {
                self.add(SECRET, &secret.name, secret.optional);
            }
        }
    }
}

/// The objects that a pod refers to, in the namespace of the task.
pub(super) fn copies(
    pod: &PodSpec,
    input: &Input,
    installation: &Installation,
) -> Result<Vec<Object>, Error> {
    let References { needed, optional } = References::of(pod);
    let is_there = |(kind, name): &&(&str, String)| (*kind, name.as_str()) != EVERYWHERE;
    let mut copies = Vec::new();
    for (kind, name) in needed.iter().filter(is_there) {
        let Some(object) = input.find(kind, name) else {
            let reason = format!(
                "the pod needs it, and runs in a namespace of its own; give it with --with-config FILE, as of: kubectl get \
                 {} {name}{} -o yaml",
                kind.to_lowercase(),
                input.namespace_flag()
            );
            return Err(Error::refused(kind, name, reason));
        };
        copies.push(copy(kind, name, object, installation)?);
    }
    for (kind, name) in optional.difference(&needed) {
        if let Some(object) = input.find(kind, name) {
            copies.push(copy(kind, name, object, installation)?);
        }
    }
    for (kind, name, _) in input.given() {
        if !needed.iter().chain(&optional).any(|(other, its_name)| *other == kind && its_name == name) {
            return Err(Error::refused(
                "the object",
                format!("{kind}/{name}"),
                "the pod does not refer to it",
            ));
        }
    }
    Ok(copies)
}

/// The object as it is, but for what belongs to its own namespace. What of it the API server does not take,
/// it says itself.
fn copy(
    kind: &'static str,
    name: &str,
    object: &Value,
    installation: &Installation,
) -> Result<Object, Error> {
    let Value::Object(mut fields) = object.clone() else {
        return Err(Error::refused(kind, name, "it is no object"));
    };
    for field in ["apiVersion", "kind", "metadata", "status"] {
        fields.remove(field);
    }
    if let Some(Value::Object(spec)) = fields.get_mut("spec").filter(|_| kind == CLAIM) {
        // The volume is bound to the claim that was copied.
        spec.remove("volumeName");
    }
    let metadata = ObjectMeta {
        namespace: Some(installation.namespace(PrivilegeClass::Restricted)),
        ..crate::labels::base_metadata(installation, name)
    };
    Ok(Copied { api_version: "v1", kind, metadata, fields }.into())
}

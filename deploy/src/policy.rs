//! The admission policy: a pod of ours may change its own Node only, and there only keys under our prefix.
//!
//! It is matched by the service-account groups of our namespaces, so that a second account in one of them does not walk
//! around it, and it covers the subresources, since who may write a Node's status may change its labels too. What it cannot
//! hold: facts are claims of the node, not attestation; on its own Node a token may write under the name of another field
//! manager; and what is read is not admitted at all, which a patch that tests a value before it is refused does for any Node.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
    Validation, Variable,
};
use node_annotator_core::fact::{MAX_DECLARED_BYTES, MAX_RUN_BYTES};
use node_annotator_core::key::RESERVED_FACTS;
use node_annotator_core::{Prefix, PrivilegeClass, Selection};

use crate::labels::base_metadata;
use crate::{Error, Installation};

/// How many annotations under our prefix a Node may have, those of collectors that are not selected any more included.
pub const MAX_ANNOTATIONS: usize = 512;

/// How many labels under our prefix a Node may have.
pub const MAX_LABELS: usize = 128;

/// How large all annotations under our prefix together may be, keys included: what one run may write, and as much again for
/// keys and for collectors that are not selected any more. Half of what Kubernetes allows for everybody.
pub const MAX_BYTES: usize = 2 * MAX_RUN_BYTES;

/// How many field managers a Node may have before a write of ours may not add one: the API server puts no limit to those that
/// apply, and each makes the Node larger. Nodes have about ten.
pub const MAX_MANAGERS: usize = 64;

/// How large the lists of fields in `managedFields` may be. The API server limits neither them nor their truth: without this a
/// forged list makes a Node of a megabyte, which every watcher receives. Real Nodes have about ten KiB, and keys of ours add at
/// most a third of this.
pub const MAX_CLAIM_BYTES: usize = 128 * 1024;

/// One thing that every write must satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A short name, for tests that leave it out.
    pub id: &'static str,
    /// What must hold, in CEL.
    pub expression: String,
    /// What the one who is refused is told, on one line.
    pub message: String,
}

/// What every write must satisfy, in the order in which it is told.
pub fn rules(prefix: &Prefix) -> Vec<Rule> {
    let rule = |id, expression: &str, message: &str| Rule {
        id,
        expression: expression.to_owned(),
        message: message.to_owned(),
    };
    let opt_out = prefix.opt_out();
    vec![
        rule(
            "update",
            "request.operation == 'UPDATE' && (!has(request.subResource) || request.subResource == '')",
            "only updates of the Node itself are allowed: no create, no delete, no subresource",
        ),
        rule(
            "own-node",
            "variables.node == oldObject.metadata.name\n\
             && (variables.nodeUid == '' || variables.nodeUid == oldObject.metadata.uid)",
            "only the Node that the pod runs on may be changed, with a token that is bound to the pod",
        ),
        rule(
            "spec",
            "object.spec == oldObject.spec",
            "the Node's spec may not be changed: no taint, no cordon",
        ),
        rule(
            "ownership",
            "object.metadata.?finalizers.orValue([]) == oldObject.metadata.?finalizers.orValue([])\n\
             && object.metadata.?ownerReferences.orValue([]) == oldObject.metadata.?ownerReferences.orValue([])\n\
             && object.metadata.?generateName == oldObject.metadata.?generateName",
            "the Node's finalizers, owners and generated name may not be changed",
        ),
        rule(
            "foreign-labels",
            &foreign_kept("oldLabels", "newLabels"),
            &format!("only labels under `{prefix}/` may be changed"),
        ),
        rule(
            "foreign-annotations",
            &foreign_kept("oldAnnotations", "newAnnotations"),
            &format!("only annotations under `{prefix}/` may be changed"),
        ),
        rule(
            "opt-out",
            &format!(
                "('{opt_out}' in variables.newLabels) == ('{opt_out}' in variables.oldLabels)\n\
                 && variables.newLabels[?'{opt_out}'].orValue('') == variables.oldLabels[?'{opt_out}'].orValue('')"
            ),
            &format!("the label `{opt_out}` is the operator's alone"),
        ),
        rule(
            "value-size",
            &format!(
                "variables.ownAnnotations.all(k, size(bytes(variables.newAnnotations[k])) <= {MAX_DECLARED_BYTES})"
            ),
            &format!("no annotation under `{prefix}/` may have more than {MAX_DECLARED_BYTES} bytes"),
        ),
        rule(
            "total-size",
            &format!(
                "variables.ownAnnotations.map(k, size(bytes(k)) + size(bytes(variables.newAnnotations[k]))).sum() <= {MAX_BYTES}"
            ),
            &format!("the annotations under `{prefix}/` together may not have more than {MAX_BYTES} bytes"),
        ),
        rule(
            "annotation-count",
            &format!("size(variables.ownAnnotations) <= {MAX_ANNOTATIONS}"),
            &format!("no more than {MAX_ANNOTATIONS} annotations under `{prefix}/` are allowed"),
        ),
        rule(
            "label-count",
            &format!("size(variables.ownLabels) <= {MAX_LABELS}"),
            &format!("no more than {MAX_LABELS} labels under `{prefix}/` are allowed"),
        ),
        rule("applied-fields", APPLIED_FIELDS_KEPT, "fields that others applied may not be taken from them"),
        rule(
            "manager-count",
            &format!(
                "size(variables.newManagers) <= {MAX_MANAGERS}\n\
                 || size(variables.newManagers) <= size(variables.oldManagers)"
            ),
            &format!("no field manager may be added to a Node that has {MAX_MANAGERS}"),
        ),
        rule(
            "claim-size",
            &format!(
                "variables.newClaimBytes <= {MAX_CLAIM_BYTES} || variables.newClaimBytes <= variables.oldClaimBytes"
            ),
            &format!("the lists of managed fields together may not have more than {MAX_CLAIM_BYTES} bytes"),
        ),
        rule("claim-depth", CLAIMS_SHALLOW, "no deeper lists of managed fields may be added"),
    ]
}

/// Every key that is not ours is there before and after, with one value.
fn foreign_kept(old: &str, new: &str) -> String {
    format!(
        "variables.{new}.all(k, k.startsWith(variables.prefix)\n\
         \x20 || (k in variables.{old} && variables.{old}[k] == variables.{new}[k]))\n\
         && variables.{old}.all(k, k.startsWith(variables.prefix) || k in variables.{new})"
    )
}

/// What somebody applied stays theirs, but for keys of ours: those change hands with each write. Entries that a write leaves as
/// they are cost next to nothing, however many there are.
const APPLIED_FIELDS_KEPT: &str = "\
variables.oldManagers.filter(old, old.operation == 'Apply'
  && !variables.newManagers.exists(new, new.manager == old.manager && new == old)).all(old,
  old.?fieldsV1.orValue({}).all(a, old.fieldsV1[a].all(b,
    (size(old.fieldsV1[a][b]) > 0 || variables.newManagers.exists(new, new.operation == 'Apply'
      && new.manager == old.manager && new.?subresource == old.?subresource
      && new.?fieldsV1[?a][?b].hasValue()))
    && old.fieldsV1[a][b].all(c, c == '.' || c.startsWith('f:' + variables.prefix)
      || variables.newManagers.exists(new, new.operation == 'Apply'
        && new.manager == old.manager && new.?subresource == old.?subresource
        && new.?fieldsV1[?a][?b][?c] == old.?fieldsV1[?a][?b][?c])))))";

/// Nothing below the depth down to which [`claim_bytes`] counts. Those of a Node's own fields end there.
const CLAIMS_SHALLOW: &str = "\
variables.newManagers.filter(new,
  !variables.oldManagers.exists(old, old.manager == new.manager && old == new)).all(new,
  new.?fieldsV1.orValue({}).all(a, new.fieldsV1[a].all(b, new.fieldsV1[a][b].all(c,
    new.fieldsV1[a][b][c].all(d, size(new.fieldsV1[a][b][c][d]) == 0)))))";

/// The bytes of all names in the lists of fields of all managers.
fn claim_bytes(managers: &str) -> String {
    format!(
        "variables.{managers}.map(m, m.?fieldsV1.orValue({{}})).map(f,\n\
         \x20 f.map(a, size(bytes(a)) + f[a].map(b, size(bytes(b)) + f[a][b].map(c, size(bytes(c))\n\
         \x20   + f[a][b][c].map(d, size(bytes(d))).sum()).sum()).sum()).sum()).sum()"
    )
}

fn variables(prefix: &Prefix) -> Vec<Variable> {
    // Values of `extra` are lists, and their keys contain a slash. The claims are in tokens that are bound to a pod.
    let claim =
        |name| format!("request.userInfo.?extra[?'authentication.kubernetes.io/{name}'][?0].orValue('')");
    let map = |object, field| format!("{object}.metadata.?{field}.orValue({{}})");
    let own = |variable| format!("variables.{variable}.filter(k, k.startsWith(variables.prefix))");
    [
        ("node", claim("node-name")),
        ("nodeUid", claim("node-uid")),
        ("prefix", format!("'{}'", prefix.key_start())),
        ("oldLabels", map("oldObject", "labels")),
        ("newLabels", map("object", "labels")),
        ("oldAnnotations", map("oldObject", "annotations")),
        ("newAnnotations", map("object", "annotations")),
        ("ownLabels", own("newLabels")),
        ("ownAnnotations", own("newAnnotations")),
        ("oldManagers", "oldObject.metadata.?managedFields.orValue([])".to_owned()),
        ("newManagers", "object.metadata.?managedFields.orValue([])".to_owned()),
        ("oldClaimBytes", claim_bytes("oldManagers")),
        ("newClaimBytes", claim_bytes("newManagers")),
    ]
    .into_iter()
    .map(|(name, expression)| Variable { name: name.to_owned(), expression })
    .collect()
}

/// The policy of an installation with the given rules; all but tests take [`rules`].
pub fn policy(
    installation: &Installation,
    classes: &[PrivilegeClass],
    prefix: &Prefix,
    rules: Vec<Rule>,
) -> ValidatingAdmissionPolicy {
    let validation = |rule: Rule| Validation {
        expression: rule.expression,
        message: Some(rule.message),
        ..Validation::default()
    };
    ValidatingAdmissionPolicy {
        metadata: base_metadata(installation, installation.cluster_object()),
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some("Fail".to_owned()),
            // With what the server would fill in, so that applying it twice changes nothing.
            match_constraints: Some(MatchResources {
                match_policy: Some("Equivalent".to_owned()),
                resource_rules: Some(vec![NamedRuleWithOperations {
                    api_groups: Some(vec![String::new()]),
                    api_versions: Some(vec!["*".to_owned()]),
                    operations: Some(vec!["*".to_owned()]),
                    resources: Some(vec!["nodes".to_owned(), "nodes/*".to_owned()]),
                    scope: Some("*".to_owned()),
                    ..NamedRuleWithOperations::default()
                }]),
                ..MatchResources::default()
            }),
            match_conditions: Some(vec![match_condition(installation, classes)]),
            variables: Some(variables(prefix)),
            validations: Some(rules.into_iter().map(validation).collect()),
            ..ValidatingAdmissionPolicySpec::default()
        }),
        status: None,
    }
}

/// A request without groups is none of ours; an error here would refuse it, whoever sends it.
fn match_condition(installation: &Installation, classes: &[PrivilegeClass]) -> MatchCondition {
    let groups: Vec<_> = classes.iter().map(|class| format!("'{}'", installation.group(*class))).collect();
    MatchCondition {
        name: "service-accounts-of-our-namespaces".to_owned(),
        expression: format!(
            "request.userInfo.?groups.orValue([]).exists(group, group in [{}])",
            groups.join(", ")
        ),
    }
}

/// Puts the policy into force.
pub fn binding(installation: &Installation) -> ValidatingAdmissionPolicyBinding {
    ValidatingAdmissionPolicyBinding {
        metadata: base_metadata(installation, installation.cluster_object()),
        spec: Some(ValidatingAdmissionPolicyBindingSpec {
            policy_name: Some(installation.cluster_object().to_owned()),
            validation_actions: Some(vec!["Deny".to_owned()]),
            ..ValidatingAdmissionPolicyBindingSpec::default()
        }),
    }
}

/// Finds a selection that the policy would not let write all it may have to say.
pub(crate) fn check_number_of_keys(selection: &Selection) -> Result<(), Error> {
    let annotations =
        selection.iter().map(|collector| collector.facts.len() + RESERVED_FACTS.len()).sum::<usize>();
    for (kind, keys, max) in
        [("annotation", annotations, MAX_ANNOTATIONS), ("label", selection.iter().count(), MAX_LABELS)]
    {
        if keys > max {
            return Err(Error::TooManyKeys { kind, keys, max });
        }
    }
    Ok(())
}

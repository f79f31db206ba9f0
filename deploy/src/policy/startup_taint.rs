//! The startup taint goes with the last done label of a node, in the same write.
//!
//! Taints are one list, which a PATCH replaces as a whole: a run would have to read it first, and what others
//! write meanwhile would be lost. So the API server takes the taint out, in its own read and write, through a
//! mutating policy; and our admission policy lets that through, and nothing else. It also refuses a write
//! after which all is done and the taint is there: no run would come again to take it away.

use k8s_openapi::api::admissionregistration::v1alpha1::{
    JSONPatch, MatchCondition, MatchResources, MutatingAdmissionPolicyBindingSpec,
    MutatingAdmissionPolicySpec, Mutation, NamedRuleWithOperations, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use node_annotator_core::{Collector, DoneMark};

use super::keys::literal;
use super::rule::{self, Rule, failed_end};
use super::{Scope, match_condition};
use crate::labels::base_metadata;
use crate::mutating_policy::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding};
use crate::startup_taint::OnFailure;
use crate::{Installation, StartupTaint};

/// The fields of a Node's spec beside the taints that can change at all. `configSource` and `externalID`
/// cannot, and `podCIDR` follows `podCIDRs`. What a later Kubernetes adds is kept by the rule about claims.
const OTHER_FIELDS: [&str; 4] = ["podCIDRs", "podPreemptionPolicy", "providerID", "unschedulable"];

/// The policy that takes the taint away, with that of [`super::policy`].
pub fn mutating_policy(scope: &Scope, taint: &StartupTaint) -> MutatingAdmissionPolicy {
    let installation = &scope.installation;
    let condition = |name: &str, expression: String| MatchCondition { name: name.to_owned(), expression };
    let variable = |(name, expression): (&str, _)| Variable { name: name.to_owned(), expression };
    let ours = match_condition(&scope.namespaces());
    let labels = scope.keys().labels;
    let mut variables = vec![
        ("labels", literal(labels.iter().map(|(key, value)| (key, format!("'{value}'"))))),
        rule::new_labels(),
    ];
    variables.extend(self::variables(scope, taint));
    MutatingAdmissionPolicy {
        metadata: base_metadata(installation, installation.cluster_object()),
        // With all that the server fills in, as with the other policy.
        spec: Some(MutatingAdmissionPolicySpec {
            failure_policy: Some("Fail".to_owned()),
            reinvocation_policy: Some("IfNeeded".to_owned()),
            match_constraints: Some(MatchResources {
                match_policy: Some("Equivalent".to_owned()),
                namespace_selector: Some(LabelSelector::default()),
                object_selector: Some(LabelSelector::default()),
                resource_rules: Some(vec![NamedRuleWithOperations {
                    api_groups: Some(vec![String::new()]),
                    api_versions: Some(vec!["v1".to_owned()]),
                    operations: Some(vec!["UPDATE".to_owned()]),
                    resources: Some(vec!["nodes".to_owned()]),
                    scope: Some("*".to_owned()),
                    ..NamedRuleWithOperations::default()
                }]),
                ..MatchResources::default()
            }),
            match_conditions: Some(vec![
                condition(&ours.name, ours.expression),
                condition(
                    "own-node",
                    format!("{} == object.metadata.?uid.orValue('')", rule::claim("node-uid")),
                ),
                condition(
                    "startup-taint",
                    format!("object.spec.?taints.orValue([]).exists(taint, taint.key == '{}')", taint.key),
                ),
            ]),
            variables: Some(variables.into_iter().map(variable).collect()),
            // By place, the first one first: from Kubernetes 1.37 on a taint that is there cannot be the
            // value of a patch.
            mutations: Some(vec![Mutation {
                patch_type: "JSONPatch".to_owned(),
                json_patch: Some(JSONPatch {
                    expression: Some(format!(
                        "variables.allDone\n\
                         ? variables.newTaints.transformList(index, taint, taint.key == '{}', index)\n\
                         \x20 .transformList(before, index, JSONPatch{{op: 'remove', path: '/spec/taints/' + string(index - before)}})\n\
                         : []",
                        taint.key
                    )),
                }),
                apply_configuration: None,
            }]),
            ..MutatingAdmissionPolicySpec::default()
        }),
    }
}

/// Puts it into force.
pub fn mutating_binding(installation: &Installation) -> MutatingAdmissionPolicyBinding {
    MutatingAdmissionPolicyBinding {
        metadata: base_metadata(installation, installation.cluster_object()),
        spec: Some(MutatingAdmissionPolicyBindingSpec {
            policy_name: Some(installation.cluster_object()),
            ..MutatingAdmissionPolicyBindingSpec::default()
        }),
    }
}

/// What both policies speak of; `labels` and `newLabels` are there already.
pub(super) fn variables(scope: &Scope, taint: &StartupTaint) -> Vec<(&'static str, String)> {
    let done = scope.collectors.iter().map(|collector| format!("'{}'", scope.prefix.done(collector.name)));
    let mut variables = vec![
        ("newTaints", "object.spec.?taints.orValue([])".to_owned()),
        ("doneLabels", format!("[{}]", done.collect::<Vec<_>>().join(", "))),
    ];
    let is_done = match scope.mark {
        DoneMark::Saved => {
            let older = scope
                .collectors
                .iter()
                .filter_map(|collector| Some((scope.prefix.done(collector.name), older_values(collector)?)));
            let older: Vec<_> = older.collect();
            if older.is_empty() {
                "k in variables.newLabels".to_owned()
            } else {
                variables.push(("olderValues", literal(older.iter().map(|(k, values)| (k, values.clone())))));
                "k in variables.newLabels && !(variables.newLabels[k] in variables.olderValues[?k].orValue([]))"
                    .to_owned()
            }
        }
        DoneMark::Generation(_) => "variables.newLabels[?k] == variables.labels[?k]".to_owned(),
    };
    let is_settled = match taint.on_failure {
        OnFailure::Keep => is_done,
        OnFailure::Remove => format!(
            "{is_done}\n|| variables.newLabels[?(k + '{}')] == variables.labels[?k]",
            failed_end(&scope.prefix)
        ),
    };
    variables.push(("allDone", format!("variables.doneLabels.all(k, {is_settled})")));
    variables
}

/// The values of the done label that older revisions have left, as a list in CEL.
pub(crate) fn older_values(collector: &Collector) -> Option<String> {
    let values = DoneMark::Saved.older_values(collector.revision);
    (!values.is_empty()).then(|| format!("['{}']", values.join("', '")))
}

/// The further variables of the admission policy.
pub(super) fn variables_of_change(taint: &StartupTaint) -> Vec<(&'static str, String)> {
    vec![
        ("oldTaints", "oldObject.spec.?taints.orValue([])".to_owned()),
        (
            "taintGoes",
            format!("{} && !{}", has("variables.oldTaints", taint), has("variables.newTaints", taint)),
        ),
    ]
}

/// Of the spec nothing changes but that the taint goes.
pub(super) fn spec_rule(taint: &StartupTaint) -> Rule {
    let others = OTHER_FIELDS.map(|field| format!("object.spec.?{field} == oldObject.spec.?{field}"));
    Rule {
        id: "spec",
        expression: format!(
            "(variables.taintGoes || object.spec == oldObject.spec)\n\
             && (!variables.taintGoes || variables.allDone)\n\
             && (!variables.taintGoes || variables.newTaints == {})\n\
             && {}",
            without("variables.oldTaints", taint),
            others.join("\n&& ")
        ),
        message: format!(
            "{}, but that the taint `{}` goes where all collectors are done",
            rule::SPEC_IS_KEPT,
            taint.key
        ),
    }
}

/// The taint does not stay behind.
pub(super) fn rule(scope: &Scope, taint: &StartupTaint) -> Rule {
    Rule {
        id: "startup-taint",
        expression: format!("!variables.allDone || !{}", has("variables.newTaints", taint)),
        message: format!(
            "the taint `{}` has to go with the last done label: is the MutatingAdmissionPolicy `{}` in force?",
            taint.key,
            scope.installation.cluster_object()
        ),
    }
}

fn has(taints: &str, taint: &StartupTaint) -> String {
    format!("{taints}.exists(taint, taint.key == '{}')", taint.key)
}

fn without(taints: &str, taint: &StartupTaint) -> String {
    format!("{taints}.filter(taint, taint.key != '{}')", taint.key)
}

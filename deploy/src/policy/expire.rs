//! The policy of the account that runs again what is stale: of any Node it may take done and failed labels of
//! the installed collectors away, and nothing else.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};

use super::rule::{OWNERSHIP, SPEC_IS_KEPT, UPDATE, change, claim};
use super::{Rule, Scope, bound, generated};
use crate::Installation;
use crate::labels;

/// The policy with the given rules; all but tests take [`expire_rules`].
pub fn expire_policy(scope: &Scope, rules: Vec<Rule>) -> ValidatingAdmissionPolicy {
    let installation = &scope.installation;
    let metadata = labels::metadata(installation, labels::EXPIRE, installation.expire_object());
    generated(metadata, &[installation.expire_namespace()], variables(scope), rules)
}

/// Puts it into force.
pub fn expire_binding(installation: &Installation) -> ValidatingAdmissionPolicyBinding {
    bound(labels::metadata(installation, labels::EXPIRE, installation.expire_object()))
}

/// What every write of that account must satisfy, in the order in which it is told.
pub fn expire_rules(scope: &Scope) -> Vec<Rule> {
    let prefix = &scope.prefix;
    let rule = |id, expression: &str, message: &str| Rule {
        id,
        expression: expression.to_owned(),
        message: message.to_owned(),
    };
    vec![
        UPDATE.rule(),
        rule("pod", "variables.pod != ''", "only a pod may do that, with a token that is bound to it"),
        rule("spec", "object.spec == oldObject.spec", SPEC_IS_KEPT),
        OWNERSHIP.rule(),
        rule("labels", "size(variables.setLabels) == 0", "no label may be set"),
        rule(
            "labels-kept",
            "variables.removedLabels.all(k, k in variables.labels)",
            &format!(
                "of labels only `{}` and `{}` of the installed collectors may be removed",
                prefix.done("<collector>"),
                prefix.failed("<collector>")
            ),
        ),
        rule(
            "annotations",
            "size(variables.setAnnotations) == 0 && size(variables.removedAnnotations) == 0",
            "no annotation may be set or removed",
        ),
        rule(
            "managed-fields",
            "size(variables.removedLabels) > 0 || variables.newManagers == variables.oldManagers",
            "managed fields change with the fields that they tell of, and not alone",
        ),
        rule("claims", CLAIMS, "in managed fields nobody may claim more than before, or at another time"),
        rule("claims-kept", CLAIMS_KEPT, "managed fields may lose nothing but the labels that are removed"),
    ]
}

/// Each entry is one that was there, of the same time, with claims that it had.
///
/// The rate at which runs write is told by the time of their entry: one in the future would keep them out.
const CLAIMS: &str = "\
variables.altered.all(m, m.before.exists(old, old.?time == m.entry.?time
  && m.entry.?fieldsV1.orValue({}).all(a,
    (size(m.entry.fieldsV1[a]) > 0 || old.?fieldsV1[?a] == m.entry.?fieldsV1[?a])
    && m.entry.fieldsV1[a].all(b,
      (size(m.entry.fieldsV1[a][b]) > 0 || old.?fieldsV1[?a][?b] == m.entry.?fieldsV1[?a][?b])
      && m.entry.fieldsV1[a][b].all(c, old.?fieldsV1[?a][?b][?c] == m.entry.?fieldsV1[?a][?b][?c])))))";

/// What goes is a label that is removed, or the map that it was the last of. An entry that has nothing left
/// goes too.
const CLAIMS_KEPT: &str = "\
variables.losing.all(m, m.entry.?fieldsV1.orValue({}).all(a,
  (size(m.entry.fieldsV1[a]) > 0 || m.after.exists(new, new.?fieldsV1[?a].hasValue()))
  && m.entry.fieldsV1[a].all(b,
    (size(m.entry.fieldsV1[a][b]) > 0 || m.after.exists(new, new.?fieldsV1[?a][?b].hasValue()))
    && m.entry.fieldsV1[a][b].all(c,
      (a == 'f:metadata' && b == 'f:labels' && (c == '.' || c.startsWith('f:') && c.substring(2) in variables.removedLabels))
      || m.after.exists(new, new.?fieldsV1[?a][?b][?c] == m.entry.?fieldsV1[?a][?b][?c])))))";

/// What the rules speak of, by name.
fn variables(scope: &Scope) -> Vec<(&'static str, String)> {
    let labels: Vec<_> = scope.keys().labels.into_keys().map(|key| format!("  '{key}'")).collect();
    let list = |object| format!("{object}.metadata.?managedFields.orValue([])");
    let same = "old.manager == new.manager && old.operation == new.operation && old.?subresource == new.?subresource";
    let without = |these: &str, those: &str| {
        format!(
            "variables.{these}.filter(m, !variables.{those}.exists(other, other.manager == m.manager && other == m))"
        )
    };
    let mut variables = vec![("pod", claim("pod-name")), ("labels", format!("[\n{}\n]", labels.join(",\n")))];
    variables.extend(change());
    variables.extend([
        ("oldManagers", list("oldObject")),
        ("newManagers", list("object")),
        (
            "altered",
            format!(
                "{}.map(new, {{\n\
                 \x20 'entry': dyn(new), 'before': dyn(variables.oldManagers.filter(old, {same}))\n\
                 }})",
                without("newManagers", "oldManagers"),
            ),
        ),
        (
            "losing",
            format!(
                "{}.map(old, {{\n\
                 \x20 'entry': dyn(old), 'after': dyn(variables.newManagers.filter(new, {same}))\n\
                 }})",
                without("oldManagers", "newManagers"),
            ),
        ),
    ]);
    variables
}

//! What every write must satisfy. Each rule judges the change and not the state, so that what others left on
//! a Node shuts no run out.

use node_annotator_core::Prefix;
use node_annotator_core::write::{FIELD_MANAGER, TOO_SOON, UNKNOWN};

use super::keys::literal;
use super::labels::{self, Marks};
use super::rule::{OWNERSHIP, Rule, SPEC_IS_KEPT, UPDATE, change, claim, failed_end};
use super::{Keys, Scope, managed_fields, startup_taint};

/// What every write of a run must satisfy, in the order in which it is told.
pub fn rules(scope: &Scope) -> Vec<Rule> {
    let prefix = &scope.prefix;
    let keys = scope.keys();
    let with_facts = !keys.fact_labels.is_empty();
    let rule = |id, expression: &str, message: &str| Rule {
        id,
        expression: expression.to_owned(),
        message: message.to_owned(),
    };
    let mut rules = vec![
        UPDATE.rule(),
        rule(
            "own-node",
            // The uid tells the Node from a later one of its name, and from all others.
            "variables.pod != '' && variables.nodeUid == oldObject.metadata.uid",
            "only the Node that the pod runs on may be changed, with a token that is bound to the pod",
        ),
        match &scope.startup_taint {
            None => rule("spec", "object.spec == oldObject.spec", SPEC_IS_KEPT),
            Some(taint) => startup_taint::spec_rule(taint),
        },
        OWNERSHIP.rule(),
    ];
    rules.extend(labels::rules(prefix, with_facts));
    rules.extend([
        rule(
            "annotations",
            "variables.setAnnotations.all(k, k in variables.annotations\n\
             \x20 && size(bytes(variables.newAnnotations[k])) <= variables.annotations[k])",
            &format!(
                "of annotations only facts and errors of the installed collectors under `{prefix}/` may be set, none longer than declared"
            ),
        ),
        rule(
            "annotations-kept",
            "variables.removedAnnotations.all(k, k in variables.annotations)",
            &format!("only annotations of the installed collectors under `{prefix}/` may be removed"),
        ),
    ]);
    if keys.exceed_a_run() {
        rules.push(rule(
            "total-size",
            &format!(
                "variables.setAnnotations.map(k, size(bytes(variables.newAnnotations[k]))).sum() <= {}",
                keys.max_bytes
            ),
            &format!("no more than {} bytes of annotations may be set at once", keys.max_bytes),
        ));
    }
    rules.extend([
        rule(
            "managed-fields",
            &format!(
                "size(variables.setLabels) + size(variables.removedLabels) > 0\n\
                 || size(variables.setAnnotations) + size(variables.removedAnnotations) > 0\n\
                 || variables.newManagers == variables.oldManagers{}",
                if scope.startup_taint.is_some() { "\n|| variables.taintGoes" } else { "" }
            ),
            "managed fields change with the fields that they tell of, and not alone",
        ),
        rule(
            "claims",
            &managed_fields::claims(scope.startup_taint.is_some(), with_facts),
            &format!("in managed fields only `{FIELD_MANAGER}` may claim more than before, and only keys that it writes"),
        ),
        rule(
            "claims-kept",
            &managed_fields::claims_kept(scope.startup_taint.is_some(), with_facts),
            "managed fields of others may not be taken from them",
        ),
    ]);
    rules.extend(scope.startup_taint.iter().map(|taint| startup_taint::rule(scope, taint)));
    rules.push(rule("rate", &rate(prefix, with_facts), TOO_SOON));
    rules
}

/// Bounds how fast a Node is written, by the time at which the API server has noted the last write of ours.
///
/// Done labels come as they come: a token sets each of them once, since it cannot take them away again. It
/// can take a failed label away where the collector is done, so that one counts when it is set. A write that
/// only takes away is not noted. Of these a run makes one, for an error that is over beside a done label, and
/// it leaves no other such error: each takes a write that sets an error before it. An error that tells what
/// is unknown stays beside its done label, and does not count. Labels of facts count as facts do. Where
/// somebody has cleared the record, nothing is noted and nothing can be held.
fn rate(prefix: &Prefix, with_facts: bool) -> String {
    // The grammar of keys has the error's after the collector's own.
    let error = prefix.error("x").replace(&prefix.done("x"), "");
    let failed = failed_end(prefix);
    let marks = Marks::among_labels(with_facts).set;
    let (removed_facts, no_fact_removed) = if with_facts {
        (
            " + size(variables.removedLabels) - size(variables.removedMarks)",
            "size(variables.removedLabels) == size(variables.removedMarks)\n  && ",
        )
    } else {
        ("", "")
    };
    format!(
        "\
variables.{marks}.exists(k, !k.endsWith('{failed}'))
|| size(variables.setLabels) + size(variables.setAnnotations) + size(variables.removedAnnotations){removed_facts} == 0
|| size(variables.newManagers) == 0
|| variables.newOurs.exists(new, variables.oldOurs.all(old, !has(old.time)
  || timestamp(new.time) - timestamp(old.time) >= duration('{SECONDS_BETWEEN_WRITES}s')))
|| (size(variables.setLabels) + size(variables.setAnnotations) == 0 && size(variables.newOurs) >= size(variables.oldOurs)
  && {no_fact_removed}variables.removedAnnotations.all(k, k.endsWith('{error}') && !variables.oldAnnotations[k].startsWith('{UNKNOWN}'))
  && !variables.labels.exists(k, k in variables.newLabels && k + '{error}' in variables.newAnnotations
    && !variables.newAnnotations[k + '{error}'].startsWith('{UNKNOWN}')))"
    )
}

/// The API server notes whole seconds.
const SECONDS_BETWEEN_WRITES: u32 = 2;

/// What the rules speak of, by name.
pub(super) fn variables(scope: &Scope) -> Vec<(&'static str, String)> {
    let Keys { labels, fact_labels, annotations, .. } = scope.keys();
    // Nothing is short enough for what is only deleted any more.
    let bounds = annotations
        .iter()
        .map(|(key, bytes)| (key, bytes.map_or("-1".to_owned(), |bytes| bytes.to_string())));
    let mut variables = vec![
        ("pod", claim("pod-name")),
        ("nodeUid", claim("node-uid")),
        ("labels", literal(labels.iter().map(|(key, value)| (key, format!("'{value}'"))))),
        ("annotations", literal(bounds)),
    ];
    variables.extend(change());
    variables.extend(labels::variables(&fact_labels));
    if let Some(taint) = &scope.startup_taint {
        variables.extend(startup_taint::variables(scope, taint));
        variables.extend(startup_taint::variables_of_change(taint));
    }
    variables.extend(managed_fields::variables());
    variables
}

//! The admission policy: a pod of ours may change its own Node only, and there only what a run of the
//! installation writes.
//!
//! It is matched by the names and the groups of the service accounts of our namespaces, so that neither a
//! second account in one of them nor an impersonation that leaves out the groups walks around it, and it
//! covers the subresources, since who may write a Node's status may change its labels too. What it cannot
//! hold: facts are claims of the node, not attestation; and what is answered before admission, which quotes
//! any Node whole to who knows its name.

mod expire;
mod keys;
mod labels;
mod managed_fields;
mod rule;
mod rules;
mod scope;
mod startup_taint;

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
    Validation, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

pub use node_annotator_core::write::{FIELD_MANAGER, TOO_SOON};

pub use self::expire::{expire_binding, expire_policy, expire_rules};
pub use self::keys::Keys;
pub use self::rule::Rule;
pub use self::rules::rules;
pub use self::scope::{SETTINGS_ANNOTATION, Scope, ScopeError, version};
pub(crate) use self::startup_taint::older_values;
pub use self::startup_taint::{mutating_binding, mutating_policy};
use crate::labels::base_metadata;
use crate::{Error, Installation, installation};

/// How many annotations the selected collectors may write. A policy that lists them all costs each request
/// more with each of them.
pub const MAX_ANNOTATIONS: usize = 1024;

/// The policy of an installation with the given rules; all but tests take [`rules()`].
pub fn policy(scope: &Scope, rules: Vec<Rule>) -> ValidatingAdmissionPolicy {
    let installation = &scope.installation;
    let mut metadata = base_metadata(installation, installation.cluster_object());
    metadata.annotations.get_or_insert_default().insert(SETTINGS_ANNOTATION.to_owned(), scope.tell());
    generated(metadata, &scope.namespaces(), rules::variables(scope), rules)
}

/// A policy for all accounts of some namespaces.
fn generated(
    metadata: ObjectMeta,
    namespaces: &[String],
    variables: Vec<(&'static str, String)>,
    rules: Vec<Rule>,
) -> ValidatingAdmissionPolicy {
    let validation = |rule: Rule| Validation {
        expression: rule.expression,
        message: Some(rule.message),
        ..Validation::default()
    };
    let variable = |(name, expression): (&str, _)| Variable { name: name.to_owned(), expression };
    ValidatingAdmissionPolicy {
        metadata,
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some("Fail".to_owned()),
            // With all that the server fills in: it is owned as a whole, and would be another's after the
            // next server-side apply.
            match_constraints: Some(MatchResources {
                match_policy: Some("Equivalent".to_owned()),
                namespace_selector: Some(LabelSelector::default()),
                object_selector: Some(LabelSelector::default()),
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
            match_conditions: Some(vec![match_condition(namespaces)]),
            variables: Some(variables.into_iter().map(variable).collect()),
            validations: Some(rules.into_iter().map(validation).collect()),
            ..ValidatingAdmissionPolicySpec::default()
        }),
        status: None,
    }
}

/// By name and by group: RBAC grants to names, and who impersonates an account may name other groups. A
/// request without either is none of ours; an error here would refuse it, whoever sends it.
fn match_condition(namespaces: &[String]) -> MatchCondition {
    let groups = namespaces.iter().map(|namespace| format!("'{}'", installation::group(namespace)));
    let names = namespaces.iter().map(|namespace| {
        let names = installation::user_start(namespace);
        format!("\n|| request.userInfo.?username.orValue('').startsWith('{names}')")
    });
    MatchCondition {
        name: "service-accounts-of-our-namespaces".to_owned(),
        expression: format!(
            "request.userInfo.?groups.orValue([]).exists(group, group in [{}]){}",
            groups.collect::<Vec<_>>().join(", "),
            names.collect::<String>()
        ),
    }
}

/// Puts the policy into force.
pub fn binding(installation: &Installation) -> ValidatingAdmissionPolicyBinding {
    bound(base_metadata(installation, installation.cluster_object()))
}

/// Puts the policy of the same name into force.
fn bound(metadata: ObjectMeta) -> ValidatingAdmissionPolicyBinding {
    ValidatingAdmissionPolicyBinding {
        spec: Some(ValidatingAdmissionPolicyBindingSpec {
            policy_name: metadata.name.clone(),
            validation_actions: Some(vec!["Deny".to_owned()]),
            ..ValidatingAdmissionPolicyBindingSpec::default()
        }),
        metadata,
    }
}

/// Finds a selection with more keys than a policy can list.
pub(crate) fn check_number_of_keys(scope: &Scope) -> Result<(), Error> {
    let annotations = scope.keys().annotations.len();
    if annotations > MAX_ANNOTATIONS {
        return Err(Error::TooManyKeys { annotations, max: MAX_ANNOTATIONS });
    }
    Ok(())
}

//! The policy in the cluster, held against the one that this version generates.

use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use node_annotator_core::error::chain;
use node_annotator_core::{PrivilegeClass, Registry};
use node_annotator_deploy::labels;
use node_annotator_deploy::policy::{self, Scope, ScopeError};

use super::Settings;
use super::check::Conclusion;

/// Whether the policy is as generated for the namespaces that there are.
///
/// A difference that no dry-run request could show is a failure: a missing rule, a server that lets requests
/// pass that it cannot evaluate, requests that the policy does not cover. Other differences are warnings,
/// since the requests show their effect.
pub(super) fn conclude(
    found: Option<&ValidatingAdmissionPolicy>,
    classes: &[PrivilegeClass],
    settings: &Settings,
) -> Conclusion {
    let name = settings.installation.cluster_object();
    let apply = settings.apply_command();
    let Some(found) = found else {
        return Conclusion::fail(format!("there is no ValidatingAdmissionPolicy `{name}`"), apply);
    };
    let spec = found.spec.clone().unwrap_or_default();
    let mut scope = match read(found) {
        Ok(scope) => scope,
        Err(error @ ScopeError::UnknownCollector { .. }) => return Conclusion::warn(chain(&error), apply),
        Err(error) => return Conclusion::fail(chain(&error), apply),
    };
    if scope.prefix != settings.prefix {
        let prefix = &scope.prefix;
        return Conclusion::fail(
            format!("it is for the prefix `{prefix}`"),
            format!("{} doctor --prefix {prefix}, or give up that prefix: {apply}", settings.app.name),
        );
    }
    scope.installation = settings.installation.clone();
    // The other namespace may be gone, and the policy still be prepared for it.
    if classes.iter().any(|class| !scope.classes.contains(class)) {
        scope.classes = classes.to_vec();
    }
    let expected = policy::policy(&scope, policy::rules(&scope)).spec.unwrap_or_default();
    let (holes, drift) = differences(&spec, &expected);
    if !holes.is_empty() {
        return Conclusion::fail(all(&[holes, drift].concat()), apply);
    }
    if !drift.is_empty() {
        let version = found.metadata.labels.as_ref().and_then(|labels| labels.get(labels::VERSION));
        let version = version.map(|version| format!(" (made by version {version})")).unwrap_or_default();
        return Conclusion::warn(format!("{}{version}", all(&drift)), apply);
    }
    Conclusion::pass(format!("as version {} generates it", settings.app.version))
}

/// Whether the policy is in force, everywhere.
pub(super) fn conclude_binding(
    found: Option<&ValidatingAdmissionPolicyBinding>,
    settings: &Settings,
) -> Conclusion {
    let name = settings.installation.cluster_object();
    let apply = settings.apply_command();
    let Some(found) = found else {
        let finding =
            format!("there is no ValidatingAdmissionPolicyBinding `{name}`: the policy is not in force");
        return Conclusion::fail(finding, apply);
    };
    let spec = found.spec.clone().unwrap_or_default();
    let ValidatingAdmissionPolicyBindingSpec { policy_name, validation_actions, match_resources, param_ref } =
        spec;
    let actions = validation_actions.unwrap_or_default();
    if policy_name.as_deref() != Some(name.as_str()) {
        let other = policy_name.unwrap_or_default();
        return Conclusion::fail(format!("it binds another policy: `{other}`"), apply);
    }
    if !actions.iter().any(|action| action == "Deny") {
        let patch = r#"{"spec":{"validationActions":["Deny"]}}"#;
        return Conclusion::fail(
            format!("it does not deny: its actions are {}", actions.join(", ")),
            format!("kubectl patch validatingadmissionpolicybinding {name} --type merge --patch '{patch}'"),
        );
    }
    if normal(match_resources.unwrap_or_default()) != MatchResources::default() || param_ref.is_some() {
        return Conclusion::fail(
            "it is narrowed: requests that it does not match are not refused",
            format!("kubectl delete validatingadmissionpolicybinding {name}, then {apply}"),
        );
    }
    Conclusion::pass(actions.join(", "))
}

/// What the policy says that it follows from.
pub(super) fn scope(found: &ValidatingAdmissionPolicy) -> Option<Scope> {
    read(found).ok()
}

fn read(found: &ValidatingAdmissionPolicy) -> Result<Scope, ScopeError> {
    let registry = Registry::from_inventory().ok();
    Scope::read(found, |name| registry.as_ref()?.iter().find(|collector| collector.name == name))
}

/// The holes, and the differences that open none.
fn differences(
    found: &ValidatingAdmissionPolicySpec,
    expected: &ValidatingAdmissionPolicySpec,
) -> (Vec<String>, Vec<String>) {
    let (mut holes, mut drift) = (Vec::new(), Vec::new());
    if found.failure_policy != expected.failure_policy {
        holes.push("it lets pass what it cannot evaluate: failurePolicy is not Fail".to_owned());
    }
    if found.match_constraints.clone().map(normal) != expected.match_constraints.clone().map(normal) {
        holes.push("it covers other requests than it should: matchConstraints differ".to_owned());
    }
    if found.param_kind != expected.param_kind {
        holes.push("it takes parameters".to_owned());
    }
    let (missing, more) = compare("rule", &rules(found), &rules(expected));
    holes.extend(missing);
    drift.extend(more);
    let (missing, more) = compare("match condition", &conditions(found), &conditions(expected));
    // A request has to match all of them: one more exempts some, and without ours none is exempted.
    let (narrower, changed) = more.into_iter().partition::<Vec<_>, _>(|text| text.starts_with("additional"));
    holes.extend(narrower);
    drift.extend(missing.into_iter().chain(changed));
    let (missing, more) = compare("variable", &variables(found), &variables(expected));
    drift.extend(missing.into_iter().chain(more));
    (holes, drift)
}

/// An expression, and what it is known by.
type Named<'a> = (&'a str, &'a str);

fn rules(spec: &ValidatingAdmissionPolicySpec) -> Vec<Named<'_>> {
    let rules = spec.validations.iter().flatten();
    rules.map(|rule| (rule.message.as_deref().unwrap_or_default(), rule.expression.as_str())).collect()
}

fn conditions(spec: &ValidatingAdmissionPolicySpec) -> Vec<Named<'_>> {
    let conditions = spec.match_conditions.iter().flatten();
    conditions.map(|condition| (condition.name.as_str(), condition.expression.as_str())).collect()
}

fn variables(spec: &ValidatingAdmissionPolicySpec) -> Vec<Named<'_>> {
    let variables = spec.variables.iter().flatten();
    variables.map(|Variable { name, expression }| (name.as_str(), expression.as_str())).collect()
}

/// The missing expressions, and those that are changed or additional.
fn compare(what: &str, found: &[Named], expected: &[Named]) -> (Vec<String>, Vec<String>) {
    let named = |list: &[Named], name| list.iter().any(|(other, _)| *other == name);
    let (mut missing, mut more) = (Vec::new(), Vec::new());
    for expression in expected {
        let (name, _) = *expression;
        if !named(found, name) {
            missing.push(format!("missing {what}: `{name}`"));
        } else if !found.contains(expression) {
            more.push(format!("changed {what}: `{name}`"));
        }
    }
    let additional = found.iter().filter(|(name, _)| !named(expected, name));
    more.extend(additional.map(|(name, _)| format!("additional {what}: `{name}`")));
    (missing, more)
}

/// Without what the server fills in where nothing was said.
fn normal(resources: MatchResources) -> MatchResources {
    let meaningful = |selector: &LabelSelector| *selector != LabelSelector::default();
    MatchResources {
        namespace_selector: resources.namespace_selector.filter(meaningful),
        object_selector: resources.object_selector.filter(meaningful),
        exclude_resource_rules: resources.exclude_resource_rules.filter(|rules| !rules.is_empty()),
        match_policy: resources.match_policy.filter(|policy| policy != "Equivalent"),
        ..resources
    }
}

fn all(differences: &[String]) -> String {
    differences.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    const RESTRICTED: &[PrivilegeClass] = &[PrivilegeClass::Restricted];

    fn generated(settings: &Settings, classes: &[PrivilegeClass]) -> ValidatingAdmissionPolicy {
        let scope = settings.all_collectors(classes);
        policy::policy(&scope, policy::rules(&scope))
    }

    fn concluded(change: impl FnOnce(&mut ValidatingAdmissionPolicySpec)) -> Conclusion {
        let settings = Settings::default();
        let mut found = generated(&settings, RESTRICTED);
        let spec = found.spec.get_or_insert_default();
        // As a server fills them in.
        let constraints = spec.match_constraints.get_or_insert_default();
        constraints.namespace_selector = Some(LabelSelector::default());
        constraints.object_selector = Some(LabelSelector::default());
        change(spec);
        conclude(Some(&found), RESTRICTED, &settings)
    }

    #[test]
    fn the_generated_policy_passes() {
        assert_eq!(concluded(|_| {}).verdict(), Verdict::Pass);
        assert_eq!(conclude(None, RESTRICTED, &Settings::default()).verdict(), Verdict::Fail);
    }

    #[test]
    fn every_rule_is_missed() {
        let rules = policy::rules(&Settings::default().all_collectors(RESTRICTED));
        for (index, rule) in rules.iter().enumerate() {
            let failed = concluded(|spec| drop(spec.validations.get_or_insert_default().remove(index)));
            assert_eq!(failed.verdict(), Verdict::Fail);
            assert_eq!(failed.finding(), format!("missing rule: `{}`", rule.message));
        }
    }

    #[test]
    fn what_no_request_shows_is_a_failure() {
        let open = concluded(|spec| spec.failure_policy = Some("Ignore".to_owned()));
        assert_eq!(open.verdict(), Verdict::Fail);
        let narrow = concluded(|spec| {
            let constraints = spec.match_constraints.get_or_insert_default();
            constraints.object_selector.get_or_insert_default().match_labels =
                Some([("guarded".to_owned(), "yes".to_owned())].into());
        });
        assert_eq!(narrow.verdict(), Verdict::Fail);
        let exempt = concluded(|spec| {
            let conditions = spec.match_conditions.get_or_insert_default();
            let mut more = conditions[0].clone();
            more.name = "not-on-mondays".to_owned();
            conditions.push(more);
        });
        assert_eq!(exempt.finding(), "additional match condition: `not-on-mondays`");
        assert_eq!(exempt.verdict(), Verdict::Fail);
    }

    #[test]
    fn other_differences_are_named() {
        let changed =
            concluded(|spec| spec.validations.get_or_insert_default()[1].expression = "true".to_owned());
        assert_eq!(changed.verdict(), Verdict::Warn);
        assert!(changed.finding().starts_with("changed rule: `only the Node that"), "{}", changed.finding());
        let spare = concluded(|spec| {
            spec.variables.get_or_insert_default().retain(|variable| variable.name != "nodeUid");
        });
        assert_eq!(spare.verdict(), Verdict::Warn);
        assert!(spare.finding().starts_with("missing variable: `nodeUid`"), "{}", spare.finding());
    }

    #[test]
    fn a_policy_of_another_prefix_is_told_from_a_changed_one() {
        let settings = Settings { prefix: "facts.example.com".parse().unwrap(), ..Settings::default() };
        let found = generated(&settings, RESTRICTED);
        let failed = conclude(Some(&found), RESTRICTED, &Settings::default());
        assert_eq!(failed.verdict(), Verdict::Fail);
        assert_eq!(failed.finding(), "it is for the prefix `facts.example.com`");
        assert_eq!(conclude(Some(&found), RESTRICTED, &settings).verdict(), Verdict::Pass);
    }

    #[test]
    fn a_policy_for_both_namespaces_serves_one() {
        let settings = Settings::default();
        let both = [PrivilegeClass::Restricted, PrivilegeClass::Privileged];
        let found = generated(&settings, &both);
        assert_eq!(conclude(Some(&found), RESTRICTED, &settings).verdict(), Verdict::Pass);
        let found = generated(&settings, RESTRICTED);
        assert_eq!(conclude(Some(&found), &both, &settings).verdict(), Verdict::Warn);
    }

    #[test]
    fn a_binding_has_to_deny_everywhere() {
        let settings = Settings::default();
        let verdict = |change: fn(&mut ValidatingAdmissionPolicyBindingSpec)| {
            let mut binding = policy::binding(&settings.installation);
            change(binding.spec.get_or_insert_default());
            conclude_binding(Some(&binding), &settings).verdict()
        };
        assert_eq!(verdict(|_| {}), Verdict::Pass);
        assert_eq!(
            verdict(|spec| spec.validation_actions.get_or_insert_default().push("Audit".to_owned())),
            Verdict::Pass
        );
        assert_eq!(verdict(|spec| spec.validation_actions = Some(vec!["Warn".to_owned()])), Verdict::Fail);
        assert_eq!(verdict(|spec| spec.policy_name = Some("other".to_owned())), Verdict::Fail);
        assert_eq!(
            verdict(|spec| spec.match_resources.get_or_insert_default().object_selector =
                Some(LabelSelector {
                    match_labels: Some([("a".to_owned(), "b".to_owned())].into()),
                    ..LabelSelector::default()
                })),
            Verdict::Fail
        );
        assert_eq!(conclude_binding(None, &settings).verdict(), Verdict::Fail);
    }
}

//! The policy in the cluster, held against the one that this version generates.

use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use node_annotator_core::error::chain;
use node_annotator_core::{PrivilegeClass, Registry};
use node_annotator_deploy::installation;
use node_annotator_deploy::installation::PRODUCT;
use node_annotator_deploy::labels;
use node_annotator_deploy::policy::{self, Scope, ScopeError};

use super::Settings;
use super::check::{Conclusion, Outcome};
use crate::trouble::Trouble;

pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

const OPEN: &str = "it lets pass what it cannot evaluate: failurePolicy is not Fail";

/// Whether the policy is as generated for what it says of itself, and for the namespaces that there are.
///
/// Any difference is a failure: dry runs prove no more than what is refused to dry runs. The policy of
/// another version cannot be generated here, and is a warning.
pub(super) fn conclude(
    found: Option<&ValidatingAdmissionPolicy>,
    classes: &[PrivilegeClass],
    settings: &Settings,
) -> Outcome {
    let name = settings.installation.cluster_object();
    let (apply, repair) = (settings.apply_command(), settings.repair_command());
    let Some(found) = found else {
        return Ok(Conclusion::fail(format!("there is no ValidatingAdmissionPolicy `{name}`"), repair));
    };
    let spec = found.spec.clone().unwrap_or_default();
    match policy::version(found) {
        Err(error) => return Ok(Conclusion::fail(chain(&error), repair)),
        Ok(version) if version != VERSION => return Ok(of_another_version(&version, &spec, settings)),
        Ok(_) => {}
    }
    let mut scope = match read(found) {
        Ok(scope) => scope,
        Err(error @ ScopeError::UnknownCollector { .. }) => {
            return Err(Trouble::new(chain(&error), "run the doctor of the program that generated it"));
        }
        Err(error) => return Ok(Conclusion::fail(chain(&error), repair)),
    };
    if scope.prefix != settings.prefix {
        let prefix = &scope.prefix;
        return Ok(Conclusion::fail(
            format!("it is for the prefix `{prefix}`"),
            format!("{} doctor --prefix {prefix}, or give up that prefix: {apply}", settings.app.name),
        ));
    }
    scope.installation = settings.installation.clone();
    // A namespace may be gone, and the policy still be prepared for it.
    let expected = policy::policy(&scope, policy::rules(&scope)).spec.unwrap_or_default();
    let differences = differences(&spec, &expected);
    if !differences.is_empty() {
        return Ok(Conclusion::fail(differences.join("; "), repair));
    }
    let uncovered = classes.iter().filter(|class| !scope.classes.contains(class));
    let uncovered: Vec<_> = uncovered.map(|class| settings.installation.namespace(*class)).collect();
    if !uncovered.is_empty() {
        let uncovered = uncovered.join(" ");
        return Ok(Conclusion::fail(
            format!("it does not cover the accounts of `{uncovered}`, which an earlier selection needed"),
            format!("kubectl delete namespace {uncovered}; or, if it is to stay, {repair}"),
        ));
    }
    Ok(Conclusion::pass(format!("as version {VERSION} generates it")))
}

fn of_another_version(
    version: &str,
    spec: &ValidatingAdmissionPolicySpec,
    settings: &Settings,
) -> Conclusion {
    if spec.failure_policy.as_deref() != Some("Fail") {
        return Conclusion::fail(OPEN, settings.repair_command());
    }
    Conclusion::warn(
        format!(
            "version {version} generated it, and this is version {VERSION}: what it differs in is not known"
        ),
        format!("run the doctor of version {version}, or {}", settings.apply_command()),
    )
}

/// Whether no other policy of ours, of a version that named it otherwise, is matched by our accounts.
pub(super) fn conclude_others(policies: &[ValidatingAdmissionPolicy], settings: &Settings) -> Conclusion {
    let name = settings.installation.cluster_object();
    let is_about_us = |expression: &str| {
        settings.installation.namespaces_of_runs().iter().any(|namespace| {
            expression.contains(&format!("'{}'", installation::group(namespace)))
                || expression.contains(&installation::user_start(namespace))
        })
    };
    let others: Vec<_> = policies
        .iter()
        .filter(|policy| {
            let labels = policy.metadata.labels.as_ref();
            let made_by = labels.and_then(|labels| labels.get(labels::MANAGED_BY));
            let spec = policy.spec.as_ref();
            let mut conditions = spec.and_then(|spec| spec.match_conditions.as_ref()).into_iter().flatten();
            made_by.is_some_and(|product| product == PRODUCT)
                && conditions.any(|condition| is_about_us(&condition.expression))
        })
        .filter_map(|policy| policy.metadata.name.as_deref())
        .filter(|other| *other != name)
        .collect();
    if others.is_empty() {
        return Conclusion::pass(format!("`{name}` alone is about our accounts"));
    }
    Conclusion::fail(
        format!("policies of an older name still match our accounts: `{}`", others.join("`, `")),
        format!(
            "once `policy` and `policy-bound` pass: kubectl delete validatingadmissionpolicybindings,validatingadmissionpolicies {}",
            others.join(" ")
        ),
    )
}

/// Whether the policy is in force, everywhere.
pub(super) fn conclude_binding(
    found: Option<&ValidatingAdmissionPolicyBinding>,
    settings: &Settings,
) -> Conclusion {
    let name = settings.installation.cluster_object();
    let repair = settings.repair_command();
    let Some(found) = found else {
        let finding =
            format!("there is no ValidatingAdmissionPolicyBinding `{name}`: the policy is not in force");
        return Conclusion::fail(finding, repair);
    };
    let spec = found.spec.clone().unwrap_or_default();
    let ValidatingAdmissionPolicyBindingSpec { policy_name, validation_actions, match_resources, param_ref } =
        spec;
    let actions = validation_actions.unwrap_or_default();
    if policy_name.as_deref() != Some(name.as_str()) {
        let other = policy_name.unwrap_or_default();
        return Conclusion::fail(format!("it binds another policy: `{other}`"), repair);
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
            format!("kubectl delete validatingadmissionpolicybinding {name}; {repair}"),
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

/// All differences, in words.
pub(super) fn differences(
    found: &ValidatingAdmissionPolicySpec,
    expected: &ValidatingAdmissionPolicySpec,
) -> Vec<String> {
    let mut differences = Vec::new();
    if found.failure_policy != expected.failure_policy {
        differences.push(OPEN.to_owned());
    }
    if found.match_constraints.clone().map(normal) != expected.match_constraints.clone().map(normal) {
        differences.push("it covers other requests than it should: matchConstraints differ".to_owned());
    }
    if found.param_kind != expected.param_kind {
        differences.push("it takes parameters".to_owned());
    }
    differences.extend(compare("rule", &rules(found), &rules(expected)));
    differences.extend(compare("match condition", &conditions(found), &conditions(expected)));
    differences.extend(compare("variable", &variables(found), &variables(expected)));
    let compared = |spec: &ValidatingAdmissionPolicySpec| ValidatingAdmissionPolicySpec {
        match_constraints: spec.match_constraints.clone().map(normal),
        ..spec.clone()
    };
    if differences.is_empty() && compared(found) != compared(expected) {
        differences.push("it has fields that are not generated, or another order".to_owned());
    }
    differences
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

/// The missing expressions, the changed and the additional ones.
fn compare(what: &str, found: &[Named], expected: &[Named]) -> Vec<String> {
    let named = |list: &[Named], name| list.iter().any(|(other, _)| *other == name);
    let mut differences = Vec::new();
    for expression in expected {
        let (name, _) = *expression;
        if !named(found, name) {
            differences.push(format!("missing {what}: `{name}`"));
        } else if !found.contains(expression) {
            differences.push(format!("changed {what}: `{name}`"));
        }
    }
    let additional = found.iter().filter(|(name, _)| !named(expected, name));
    differences.extend(additional.map(|(name, _)| format!("additional {what}: `{name}`")));
    differences
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

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;
    use node_annotator_collectors as _;

    const RESTRICTED: &[PrivilegeClass] = &[PrivilegeClass::Restricted];

    fn generated(settings: &Settings, classes: &[PrivilegeClass]) -> ValidatingAdmissionPolicy {
        let scope = settings.all_collectors(classes);
        policy::policy(&scope, policy::rules(&scope))
    }

    fn of(
        found: Option<&ValidatingAdmissionPolicy>,
        classes: &[PrivilegeClass],
        settings: &Settings,
    ) -> Conclusion {
        conclude(found, classes, settings).unwrap()
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
        of(Some(&found), RESTRICTED, &settings)
    }

    #[test]
    fn the_generated_policy_passes() {
        assert_eq!(concluded(|_| {}).verdict(), Verdict::Pass);
        assert_eq!(of(None, RESTRICTED, &Settings::default()).verdict(), Verdict::Fail);
    }

    #[test]
    fn a_namespace_that_an_earlier_selection_needed_is_named() {
        let settings = Settings::default();
        let both = [PrivilegeClass::Restricted, PrivilegeClass::Privileged];
        let found = generated(&settings, RESTRICTED);
        let left_over = of(Some(&found), &both, &settings);
        assert_eq!(left_over.verdict(), Verdict::Fail);
        assert!(left_over.finding().contains("`node-annotator-privileged`"), "{left_over:?}");
        // The other way round nothing is open.
        assert_eq!(of(Some(&generated(&settings, &both)), RESTRICTED, &settings).verdict(), Verdict::Pass);
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
    fn every_changed_rule_variable_and_condition_is_a_failure() {
        let scope = Settings::default().all_collectors(RESTRICTED);
        let generated = policy::policy(&scope, policy::rules(&scope)).spec.unwrap();
        for index in 0..generated.validations.as_ref().unwrap().len() {
            let changed = concluded(|spec| {
                spec.validations.get_or_insert_default()[index].expression = "true".to_owned();
            });
            let message = generated.validations.as_ref().unwrap()[index].message.clone().unwrap();
            assert_eq!(changed.verdict(), Verdict::Fail);
            assert_eq!(changed.finding(), format!("changed rule: `{message}`"));
        }
        for (index, Variable { name, .. }) in generated.variables.as_ref().unwrap().iter().enumerate() {
            let changed = concluded(|spec| {
                spec.variables.get_or_insert_default()[index].expression = "[]".to_owned();
            });
            assert_eq!(changed.verdict(), Verdict::Fail);
            assert_eq!(changed.finding(), format!("changed variable: `{name}`"));
        }
        let dry_runs = concluded(|spec| {
            let condition = &mut spec.match_conditions.get_or_insert_default()[0];
            condition.expression =
                format!("({}) && request.?dryRun.orValue(false) == true", condition.expression);
        });
        assert_eq!(dry_runs.verdict(), Verdict::Fail);
        assert!(dry_runs.finding().starts_with("changed match condition: "), "{dry_runs:?}");
        let order = concluded(|spec| spec.validations.get_or_insert_default().swap(0, 1));
        assert_eq!(order.verdict(), Verdict::Fail);
        let reason = concluded(|spec| {
            spec.validations.get_or_insert_default()[0].message_expression = Some("'x'".to_owned());
        });
        assert_eq!(reason.verdict(), Verdict::Fail);
    }

    #[test]
    fn the_policy_of_another_version_is_a_warning_that_names_both() {
        let settings = Settings::default();
        let mut found = generated(&settings, RESTRICTED);
        let told = found.metadata.annotations.get_or_insert_default();
        let told = told.get_mut(policy::SETTINGS_ANNOTATION).unwrap();
        *told = told.replace(VERSION, "9.9.9");
        found.spec.get_or_insert_default().validations.get_or_insert_default().truncate(1);
        let warned = of(Some(&found), RESTRICTED, &settings);
        assert_eq!(warned.verdict(), Verdict::Warn);
        for version in ["9.9.9", VERSION] {
            assert!(warned.finding().contains(&format!("version {version}")), "{warned:?}");
        }
        found.spec.get_or_insert_default().failure_policy = Some("Ignore".to_owned());
        assert_eq!(of(Some(&found), RESTRICTED, &settings).verdict(), Verdict::Fail);
        found.metadata.annotations = None;
        assert_eq!(of(Some(&found), RESTRICTED, &settings).verdict(), Verdict::Fail);
    }

    #[test]
    fn a_collector_of_another_program_leaves_it_unproven() {
        let settings = Settings::default();
        let mut found = generated(&settings, RESTRICTED);
        let told = found.metadata.annotations.get_or_insert_default();
        let told = told.get_mut(policy::SETTINGS_ANNOTATION).unwrap();
        *told = told.replace("\"kernel\"", "\"no-such-one\"");
        let unproven = conclude(Some(&found), RESTRICTED, &settings).unwrap_err();
        assert!(unproven.what.contains("no-such-one"), "{unproven:?}");
    }

    #[test]
    fn a_policy_of_an_older_name_is_told_from_one_of_another_installation() {
        let settings = Settings { installation: "facts".parse().unwrap(), ..Settings::default() };
        let named = |name: &str, settings: &Settings| {
            let mut policy = generated(settings, RESTRICTED);
            policy.metadata.name = Some(name.to_owned());
            policy
        };
        let ours = named("node-annotator-facts", &settings);
        let others = named("node-annotator", &Settings::default());
        let passed = conclude_others(&[ours.clone(), others.clone()], &settings);
        assert_eq!(passed.verdict(), Verdict::Pass);
        let older = named("facts", &settings);
        let failed = conclude_others(&[ours, others, older.clone()], &settings);
        assert_eq!(failed.verdict(), Verdict::Fail);
        assert!(failed.finding().ends_with(": `facts`"), "{failed:?}");
        // What somebody else wrote about our accounts is theirs.
        let theirs = ValidatingAdmissionPolicy {
            metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                labels: None,
                ..older.metadata.clone()
            },
            ..older
        };
        assert_eq!(conclude_others(&[theirs], &settings).verdict(), Verdict::Pass);
    }

    #[test]
    fn a_policy_of_another_prefix_is_told_from_a_changed_one() {
        let settings = Settings { prefix: "facts.example.com".parse().unwrap(), ..Settings::default() };
        let found = generated(&settings, RESTRICTED);
        let failed = of(Some(&found), RESTRICTED, &Settings::default());
        assert_eq!(failed.verdict(), Verdict::Fail);
        assert_eq!(failed.finding(), "it is for the prefix `facts.example.com`");
        assert_eq!(of(Some(&found), RESTRICTED, &settings).verdict(), Verdict::Pass);
    }

    #[test]
    fn a_policy_for_both_namespaces_serves_one() {
        let settings = Settings::default();
        let both = [PrivilegeClass::Restricted, PrivilegeClass::Privileged];
        let found = generated(&settings, &both);
        assert_eq!(of(Some(&found), RESTRICTED, &settings).verdict(), Verdict::Pass);
        let found = generated(&settings, RESTRICTED);
        assert_eq!(of(Some(&found), &both, &settings).verdict(), Verdict::Fail);
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

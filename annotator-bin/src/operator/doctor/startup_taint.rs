//! Whether the startup taint goes with the last done label, and from which nodes it does not go.

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::admissionregistration::v1alpha1::MutatingAdmissionPolicyBindingSpec;
use k8s_openapi::apimachinery::pkg::version::Info;
use node_annotator_deploy::mutating_policy::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding};
use node_annotator_deploy::policy::{self, Scope};

use super::check::{Conclusion, Outcome};
use super::policy::VERSION;
use super::{Settings, server};
use crate::operator::fleet::node::Node;
use crate::operator::startup_taint::{Gate, gate};
use crate::trouble::Trouble;

/// What there is in the cluster under the name of the installation.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) policy: Option<MutatingAdmissionPolicy>,
    pub(super) binding: Option<MutatingAdmissionPolicyBinding>,
}

/// Whether what takes the taint away is there where the admission policy counts on it, and nowhere else.
pub(super) fn conclude(
    found: &Found,
    installed: Option<&ValidatingAdmissionPolicy>,
    server: Option<&Info>,
    scope: &Scope,
    settings: &Settings,
) -> Outcome {
    let name = settings.installation.cluster_object();
    let told = installed.map(policy::version);
    let Some(taint) = &scope.startup_taint else {
        return match (&found.policy, told) {
            (None, _) => Ok(Conclusion::pass("there is none in this installation")),
            (Some(_), Some(Ok(version))) if version == VERSION => Ok(Conclusion::fail(
                format!(
                    "a MutatingAdmissionPolicy `{name}` is left over: the admission policy refuses each run whose node it \
                     would change"
                ),
                format!("kubectl delete mutatingadmissionpolicybindings,mutatingadmissionpolicies {name}"),
            )),
            (Some(_), _) => Err(Trouble::new(
                format!("what the MutatingAdmissionPolicy `{name}` is for is not known"),
                "see `policy`, which would tell",
            )),
        };
    };
    let key = &taint.key;
    let apply = settings.apply_command();
    if let Some(version) = server.and_then(server::version).filter(|it| *it < server::MUTATING_POLICY) {
        let (major, minor) = version;
        return Ok(Conclusion::fail(
            format!(
                "this server is of version {major}.{minor}: before 1.36 nothing takes the taint `{key}` away, and the policy \
                 refuses each run that would be done on a node that has it"
            ),
            format!("upgrade the cluster, or leave out --startup-taint: {apply}"),
        ));
    }
    let refuses =
        format!("until then each run is refused that would be done on a node with the taint `{key}`");
    let Some(found_policy) = &found.policy else {
        return Ok(Conclusion::fail(
            format!("there is no MutatingAdmissionPolicy `{name}`: {refuses}"),
            apply,
        ));
    };
    let expected = policy::mutating_policy(scope, taint).spec;
    if matches!(told, Some(Ok(version)) if version == VERSION) && found_policy.spec != expected {
        return Ok(Conclusion::fail(
            format!("the MutatingAdmissionPolicy `{name}` is not as version {VERSION} generates it"),
            apply,
        ));
    }
    let binding = found.binding.as_ref().and_then(|binding| binding.spec.clone());
    let Some(MutatingAdmissionPolicyBindingSpec { match_resources, param_ref, policy_name }) = binding else {
        return Ok(Conclusion::fail(
            format!("there is no MutatingAdmissionPolicyBinding `{name}`: {refuses}"),
            apply,
        ));
    };
    if match_resources.is_some() || param_ref.is_some() || policy_name.as_deref() != Some(&name) {
        return Ok(Conclusion::fail(
            format!("the MutatingAdmissionPolicyBinding `{name}` binds another policy, or a part of it"),
            format!("kubectl delete mutatingadmissionpolicybinding {name}; {apply}"),
        ));
    }
    Ok(Conclusion::pass(format!("`{key}` goes with the last done label of a node")))
}

/// Which nodes keep the taint though no run of theirs is under way.
pub(super) fn conclude_nodes(nodes: &[Node], scope: &Scope) -> Conclusion {
    let Some(taint) = &scope.startup_taint else {
        return Conclusion::pass("there is no startup taint in this installation");
    };
    let (mut left_behind, mut given_up, mut opted_out, mut pending) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for node in nodes {
        let taints = node.spec.taints.iter().flatten();
        let name = node.name();
        match gate(node.labels(), taints.map(|taint| taint.key.as_str()), scope) {
            Gate::Open => {}
            Gate::Pending(_) => pending += 1,
            Gate::LeftBehind => left_behind.push(name),
            Gate::GivenUp(collectors) => given_up.push((name, collectors)),
            Gate::OptedOut(_) => opted_out.push(name),
        }
    }
    let key = &taint.key;
    let mut findings = Vec::new();
    let mut hints = Vec::new();
    if let Some(first) = left_behind.first() {
        findings.push(format!("tainted after they were done: {}, such as `{first}`", left_behind.len()));
        hints
            .push(format!("no run comes by itself that would free them: kubectl taint nodes {first} {key}-"));
    }
    if let Some((first, collectors)) = given_up.first() {
        let collector = collectors.first().map_or("", |collector| collector.name);
        let count = given_up.len();
        findings.push(format!("where a collector was given up: {count}, such as `{first}` (`{collector}`)"));
        hints.push(format!(
            "once it is mended: kubectl label nodes {first} {}-; `--startup-taint-on-failure remove` lets workloads onto such \
             nodes",
            scope.prefix.failed(collector)
        ));
    }
    if let Some(first) = opted_out.first() {
        findings.push(format!("where runs are kept away: {}, such as `{first}`", opted_out.len()));
        hints.push(format!(
            "kubectl taint nodes {first} {key}-, or without its label {}",
            scope.prefix.opt_out()
        ));
    }
    if findings.is_empty() {
        return Conclusion::pass(match pending {
            0 => format!("no node has `{key}`"),
            pending => format!("nodes with `{key}` that wait for their runs: {pending}"),
        });
    }
    Conclusion::warn(format!("nodes that keep `{key}`: {}", findings.join("; ")), hints.join("; "))
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use node_annotator_core::PrivilegeClass;
    use node_annotator_deploy::StartupTaint;
    use node_annotator_deploy::startup_taint::{OnFailure, StartupTaintKey};
    use serde_json::{Value, json};

    use super::super::check::Verdict;
    use super::*;

    fn scope(is_tainting: bool) -> Scope {
        let settings = Settings::default();
        let key = StartupTaintKey::Own.of(&settings.installation);
        let mut scope = settings.all_collectors(&[PrivilegeClass::Restricted]);
        scope.collectors.retain(|collector| collector.name == "virt");
        scope.startup_taint = is_tainting.then_some(StartupTaint { key, on_failure: OnFailure::Keep });
        scope
    }

    fn generated() -> Found {
        let scope = scope(true);
        let taint = scope.startup_taint.as_ref().unwrap();
        Found {
            policy: Some(policy::mutating_policy(&scope, taint)),
            binding: Some(policy::mutating_binding(&scope.installation)),
        }
    }

    fn concluded(found: &Found, is_tainting: bool, minor: &str) -> Conclusion {
        let scope = scope(is_tainting);
        let installed = policy::policy(&scope, policy::rules(&scope));
        let info = Info { major: "1".to_owned(), minor: minor.to_owned(), ..Info::default() };
        conclude(found, Some(&installed), Some(&info), &scope, &Settings::default()).unwrap()
    }

    #[test]
    fn what_takes_the_taint_away_has_to_be_there_as_generated() {
        assert_eq!(concluded(&generated(), true, "36").verdict(), Verdict::Pass);
        assert_eq!(concluded(&Found::default(), false, "35").verdict(), Verdict::Pass);
        for (found, finding) in [
            (Found::default(), "there is no MutatingAdmissionPolicy `node-annotator`: "),
            (Found { binding: None, ..generated() }, "there is no MutatingAdmissionPolicyBinding "),
        ] {
            let failed = concluded(&found, true, "36+");
            assert_eq!(failed.verdict(), Verdict::Fail);
            assert!(failed.finding().starts_with(finding), "{failed:?}");
        }
        let mut changed = generated();
        changed.policy.as_mut().unwrap().spec.as_mut().unwrap().match_conditions = None;
        assert!(concluded(&changed, true, "37").finding().contains("is not as version"), "{changed:?}");
        let mut narrowed = generated();
        narrowed.binding.as_mut().unwrap().spec.as_mut().unwrap().policy_name = Some("other".to_owned());
        assert!(concluded(&narrowed, true, "37").finding().contains("binds another policy"));
    }

    #[test]
    fn an_old_server_and_a_policy_that_is_left_over_are_told() {
        let old = concluded(&Found::default(), true, "35");
        assert_eq!(old.verdict(), Verdict::Fail);
        assert!(old.finding().starts_with("this server is of version 1.35: before 1.36 "), "{old:?}");
        let left_over = concluded(&generated(), false, "36");
        assert_eq!(left_over.verdict(), Verdict::Fail);
        assert_eq!(
            left_over.hint(),
            Some("kubectl delete mutatingadmissionpolicybindings,mutatingadmissionpolicies node-annotator")
        );
    }

    #[test]
    fn nodes_that_no_run_frees_are_named() {
        let key = StartupTaintKey::Own.of(&Settings::default().installation);
        let node = |name: &str, labels: &Value, taint: &str| -> Node {
            serde_json::from_value(json!({
                "metadata": { "name": name, "labels": labels },
                "spec": { "taints": [{ "key": taint, "effect": "NoSchedule" }] },
            }))
            .unwrap()
        };
        let waiting = node("waiting", &json!({}), &key);
        let free = node("free", &json!({ "k8s.haim.dev/virt": "saved" }), "example.com/other");
        let passed = conclude_nodes(&[waiting.clone(), free.clone()], &scope(true));
        assert_eq!(passed.verdict(), Verdict::Pass);
        assert_eq!(passed.finding(), format!("nodes with `{key}` that wait for their runs: 1"));
        let late = node("late", &json!({ "k8s.haim.dev/virt": "saved" }), &key);
        let failed = node("failed", &json!({ "k8s.haim.dev/virt.failed": "saved" }), &key);
        let out = node("out", &json!({ "k8s.haim.dev/opt-out": "" }), &key);
        let warned = conclude_nodes(&[waiting, free, late, failed, out], &scope(true));
        assert_eq!(warned.verdict(), Verdict::Warn);
        assert_eq!(
            warned.finding(),
            format!(
                "nodes that keep `{key}`: tainted after they were done: 1, such as `late`; where a collector was given up: 1, \
                 such as `failed` (`virt`); where runs are kept away: 1, such as `out`"
            )
        );
        assert!(warned.hint().unwrap().contains(&format!("kubectl taint nodes late {key}-;")), "{warned:?}");
        assert_eq!(conclude_nodes(&[], &scope(false)).verdict(), Verdict::Pass);
    }
}

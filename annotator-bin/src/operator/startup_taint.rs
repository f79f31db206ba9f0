//! What the startup taint of a node waits for, by what the Node itself tells and the policy.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use kube::Resource;
use kube::api::GetParams;
use kube::core::Request;
use node_annotator_core::{Collector, Registry};
use node_annotator_deploy::Installation;
use node_annotator_deploy::policy::Scope;
use node_annotator_deploy::startup_taint::OnFailure;

use super::lists::Reader;
use crate::cluster::{ClusterError, Reason};

/// What the policy of an installation says that it follows from, where that has a startup taint.
pub(crate) async fn scope(
    reader: &Reader,
    installation: &Installation,
    registry: &Registry,
) -> Result<Option<Scope>, ClusterError> {
    let request = Request::new(ValidatingAdmissionPolicy::url_path(&(), None));
    let name = installation.cluster_object();
    let policy: ValidatingAdmissionPolicy = match reader.ask(request.get(&name, &GetParams::default())).await
    {
        Ok(policy) => policy,
        Err(error) if error.reason() == Reason::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let scope = Scope::read(&policy, |name| registry.iter().find(|collector| collector.name == name));
    Ok(scope.ok().filter(|scope| scope.startup_taint.is_some()))
}

/// What the startup taint of a node waits for.
#[derive(Debug, Clone)]
pub enum Gate {
    /// The node does not have it, or the installation has none.
    Open,
    /// These collectors are neither done nor given up: their runs take it away.
    Pending(Vec<&'static Collector>),
    /// These were given up, and it stays until they run again and succeed.
    GivenUp(Vec<&'static Collector>),
    /// These are to be done, and the operator keeps runs away from the node.
    OptedOut(Vec<&'static Collector>),
    /// Nothing is left to be done: the taint came afterwards, and no run comes that would take it away.
    LeftBehind,
}

/// What the startup taint of a node waits for, by its labels and the keys of its taints. Which nodes the
/// DaemonSets leave out by other labels is not looked at.
pub fn gate<'a>(
    labels: &BTreeMap<String, String>,
    taints: impl IntoIterator<Item = &'a str>,
    scope: &Scope,
) -> Gate {
    let Some(taint) = &scope.startup_taint else { return Gate::Open };
    if !taints.into_iter().any(|key| key == taint.key) {
        return Gate::Open;
    }
    let label = |key: &str| labels.get(key);
    let is_done = |collector: &Collector| {
        let value = label(&scope.prefix.done(collector.name));
        value.is_some_and(|value| scope.mark.is_done(value, collector.revision))
    };
    let is_given_up = |collector: &Collector| {
        let value = label(&scope.prefix.failed(collector.name));
        value == Some(&scope.mark.label_value(collector.revision))
    };
    let (given_up, pending): (Vec<_>, Vec<_>) = scope
        .collectors
        .iter()
        .copied()
        .filter(|collector| !is_done(collector))
        .partition(|collector| is_given_up(collector));
    match (pending.is_empty(), given_up.is_empty(), taint.on_failure) {
        (true, true, _) | (true, false, OnFailure::Remove) => Gate::LeftBehind,
        (true, false, OnFailure::Keep) => Gate::GivenUp(given_up),
        _ if label(&scope.prefix.opt_out()).is_some() => Gate::OptedOut(pending),
        _ => Gate::Pending(pending),
    }
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use node_annotator_core::{DoneMark, LabelFacts, Registry};
    use node_annotator_deploy::StartupTaint;

    use super::super::doctor::Settings;
    use super::*;

    const KEY: &str = "example.com/starting";

    fn scope(on_failure: OnFailure) -> Scope {
        let registry = Registry::from_inventory().unwrap();
        Scope {
            installation: Settings::default().installation,
            classes: Vec::new(),
            prefix: Settings::default().prefix,
            mark: DoneMark::Saved,
            stamp_day: false,
            labels: LabelFacts::default(),
            startup_taint: Some(StartupTaint { key: KEY.to_owned(), on_failure }),
            collectors: ["cpu-model", "virt"].map(|name| registry.find(name).unwrap()).to_vec(),
        }
    }

    fn of(labels: &[&str], taint: &str, on_failure: OnFailure) -> Gate {
        let labels: BTreeMap<_, _> =
            labels.iter().map(|name| (format!("k8s.haim.dev/{name}"), "saved".to_owned())).collect();
        gate(&labels, ["example.com/other", taint], &scope(on_failure))
    }

    #[test]
    fn the_taint_waits_for_what_is_not_done() {
        let names = |gate: Gate| match gate {
            Gate::Pending(collectors) | Gate::GivenUp(collectors) | Gate::OptedOut(collectors) => {
                collectors.iter().map(|collector| collector.name).collect::<Vec<_>>()
            }
            Gate::Open | Gate::LeftBehind => Vec::new(),
        };
        let keep = |labels: &[&str]| of(labels, KEY, OnFailure::Keep);
        assert!(matches!(of(&[], "example.com/else", OnFailure::Keep), Gate::Open));
        assert!(matches!(keep(&[]), Gate::Pending(_)));
        assert_eq!(names(keep(&["virt"])), ["cpu-model"]);
        assert!(matches!(keep(&["virt", "opt-out"]), Gate::OptedOut(_)));
        assert!(matches!(keep(&["virt", "cpu-model"]), Gate::LeftBehind));
        assert!(matches!(keep(&["virt", "cpu-model", "opt-out"]), Gate::LeftBehind));
        let failed = ["virt", "cpu-model.failed"];
        assert!(matches!(keep(&failed), Gate::GivenUp(_)));
        assert_eq!(names(keep(&failed)), ["cpu-model"]);
        assert!(matches!(of(&failed, KEY, OnFailure::Remove), Gate::LeftBehind));
        assert!(matches!(keep(&["cpu-model.failed"]), Gate::Pending(_)));
    }
}

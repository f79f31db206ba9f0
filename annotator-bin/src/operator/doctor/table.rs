//! All checks, a row each: its name, what it is about, and the function that makes it.

use std::future::ready;

use futures_util::future::LocalBoxFuture;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Event, Pod, ServiceAccount};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use kube::Resource;
use node_annotator_deploy::mutating_policy::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding};
use node_annotator_deploy::policy::Keys;
use serde::de::DeserializeOwned;

use super::check::Outcome;
use super::evidence::{Evidence, OurNamespace};
use super::requests::{DENIALS, Denial};
use super::{
    Settings, account_users, answers, coverage, expire, fact_labels, failures, flow_schema, namespaces,
    overlap, policy, progress, rights, server, staleness, startup_taint,
};
use crate::operator::fleet::pods::{self, FAILED_CREATE};
use crate::operator::lists::{Form, Query, Reader, list};
use crate::trouble::Trouble;

/// A check.
pub(super) struct Row {
    /// Its stable name.
    pub(super) name: &'static str,
    /// What it is about, and how it is made.
    pub(super) scope: Scope,
}

/// What a check is about.
pub(super) enum Scope {
    /// The cluster: it is made once.
    Cluster(for<'a> fn(&'a Evidence) -> LocalBoxFuture<'a, Outcome>),
    /// One of our namespaces: it is made for each.
    Namespace(for<'a> fn(&'a Evidence, &'a OurNamespace) -> LocalBoxFuture<'a, Outcome>),
    /// A request in the name of a namespace's account, which has to be refused.
    Denial(&'static Denial),
}

/// The checks in the order in which they are made and shown.
pub(super) fn rows(settings: &Settings) -> impl Iterator<Item = Row> {
    let of_cluster = [
        row("server-version", Scope::Cluster(|all| Box::pin(ready(server_version(all))))),
        row("policy", Scope::Cluster(|all| Box::pin(ready(policy(all))))),
        row("policy-bound", Scope::Cluster(|all| Box::pin(policy_bound(all)))),
        row("policy-alone", Scope::Cluster(|all| Box::pin(policy_alone(all)))),
        row("policy-covers", Scope::Cluster(|all| Box::pin(ready(policy_covers(all))))),
        row("startup-taint", Scope::Cluster(|all| Box::pin(startup_taint(all)))),
        row("done-labels", Scope::Cluster(|all| Box::pin(ready(done_labels(all))))),
        row("failures", Scope::Cluster(|all| Box::pin(ready(failures(all))))),
        row("tainted-nodes", Scope::Cluster(|all| Box::pin(ready(tainted_nodes(all))))),
        row("flow-schema", Scope::Cluster(|all| Box::pin(flow_schema(all)))),
        row("expire", Scope::Cluster(|all| Box::pin(expire(all)))),
        row("expire-users", Scope::Cluster(|all| Box::pin(account_users::check_expire(all)))),
        row("fact-labels", Scope::Cluster(|all| Box::pin(ready(fact_labels(all))))),
        row("facts-current", Scope::Cluster(|all| Box::pin(ready(facts_current(all))))),
    ];
    let of_namespace = [
        row("pod-security", Scope::Namespace(|all, one| Box::pin(ready(pod_security(all, one))))),
        row("service-accounts", Scope::Namespace(|all, one| Box::pin(service_accounts(all, one)))),
        row("rights-suffice", Scope::Namespace(|all, one| Box::pin(rights::suffice(all, one)))),
        row("rights-narrow", Scope::Namespace(|all, one| Box::pin(rights::are_narrow(all, one)))),
        row("account-users", Scope::Namespace(|all, one| Box::pin(account_users::check(all, one)))),
    ];
    let allowed = row("allows-own-keys", Scope::Namespace(|all, one| Box::pin(answers::allowed(all, one))));
    let denials = DENIALS.iter().map(|denial| row(denial.check, Scope::Denial(denial)));
    // In the name of the accounts.
    let tried: Vec<_> =
        if settings.no_impersonation { Vec::new() } else { [allowed].into_iter().chain(denials).collect() };
    let progress = row("progress", Scope::Namespace(|all, one| Box::pin(progress(all, one))));
    of_cluster.into_iter().chain(of_namespace).chain(tried).chain([progress])
}

const fn row(name: &'static str, scope: Scope) -> Row {
    Row { name, scope }
}

fn server_version(all: &Evidence) -> Outcome {
    Ok(server::conclude(all.version.as_ref().map_err(Clone::clone)?))
}

fn policy(all: &Evidence) -> Outcome {
    let found = all.policy.as_ref().map_err(Clone::clone)?;
    let classes: Vec<_> = all.namespaces.iter().map(|namespace| namespace.class).collect();
    policy::conclude(found.as_ref(), &classes, &all.settings)
}

async fn policy_alone(all: &Evidence) -> Outcome {
    let policies = list::<ValidatingAdmissionPolicy>(&all.administrator, None).await?;
    Ok(policy::conclude_others(&policies, &all.settings))
}

fn policy_covers(all: &Evidence) -> Outcome {
    let found = all.policy.as_ref().map_err(Clone::clone)?;
    let readable = found.as_ref().filter(|found| policy::scope(found).is_some());
    let Some(allowed) = readable.and_then(Keys::listed) else {
        return Err(Trouble::new(
            "there is no policy that tells what it was generated from",
            "see `policy`: what it lets through is known once it is there",
        ));
    };
    let is_ours = |set: &&DaemonSet| {
        let namespace = set.metadata.namespace.as_ref();
        all.namespaces.iter().any(|one| namespace == Some(&one.account.namespace))
    };
    let sets = all.daemon_sets.as_ref().map_err(Clone::clone)?;
    let sets: Vec<_> = sets.iter().filter(is_ours).collect();
    Ok(coverage::conclude(&sets, &allowed, &all.scope, &all.settings))
}

async fn policy_bound(all: &Evidence) -> Outcome {
    let found = get::<ValidatingAdmissionPolicyBinding>(all).await?;
    Ok(policy::conclude_binding(found.as_ref(), &all.settings))
}

async fn startup_taint(all: &Evidence) -> Outcome {
    let found = startup_taint::Found {
        policy: get::<MutatingAdmissionPolicy>(all).await?,
        binding: get::<MutatingAdmissionPolicyBinding>(all).await?,
    };
    let installed = all.policy.as_ref().map_err(Clone::clone)?;
    startup_taint::conclude(&found, installed.as_ref(), all.version.as_ref().ok(), &all.scope, &all.settings)
}

fn tainted_nodes(all: &Evidence) -> Outcome {
    // It tells whether there is such a taint.
    all.policy.as_ref().map_err(Clone::clone)?;
    Ok(startup_taint::conclude_nodes(all.nodes.as_ref().map_err(Clone::clone)?, &all.scope))
}

fn done_labels(all: &Evidence) -> Outcome {
    let names: Vec<_> = all.namespaces.iter().map(|namespace| namespace.account.namespace.clone()).collect();
    let sets = all.daemon_sets.as_ref().map_err(Clone::clone)?;
    Ok(overlap::conclude(sets, &all.settings.prefix, &names))
}

fn failures(all: &Evidence) -> Outcome {
    Ok(failures::conclude(all.nodes.as_ref().map_err(Clone::clone)?, &all.scope))
}

fn fact_labels(all: &Evidence) -> Outcome {
    let found = all.policy.as_ref().map_err(Clone::clone)?;
    let scope = found.as_ref().and_then(policy::scope);
    fact_labels::conclude(all.nodes.as_ref().map_err(Clone::clone)?, scope.as_ref(), &all.settings.prefix)
}

fn facts_current(all: &Evidence) -> Outcome {
    Ok(staleness::conclude(all.nodes.as_ref().map_err(Clone::clone)?, &all.scope))
}

async fn flow_schema(all: &Evidence) -> Outcome {
    let found = get::<FlowSchema>(all).await?;
    let level = found.as_ref().and_then(|schema| schema.spec.as_ref());
    let level = level.map(|spec| spec.priority_level_configuration.name.clone()).unwrap_or_default();
    let is_level_there = get_named::<PriorityLevelConfiguration>(all, &level).await?.is_some();
    let of_expire = all
        .cron_job
        .as_ref()
        .map_err(Clone::clone)?
        .as_ref()
        .map(|_| all.settings.installation.expire_namespace());
    let namespaces: Vec<_> = all.scope.namespaces().into_iter().chain(of_expire).collect();
    Ok(flow_schema::conclude(found.as_ref(), is_level_there, &namespaces, &all.settings))
}

async fn expire(all: &Evidence) -> Outcome {
    let name = all.settings.installation.expire_object();
    let found = expire::Found {
        cron_job: all.cron_job.clone()?,
        policy: get_named(all, &name).await?,
        binding: get_named(all, &name).await?,
    };
    Ok(expire::conclude(&found, &all.scope, &all.settings))
}

fn pod_security(all: &Evidence, one: &OurNamespace) -> Outcome {
    Ok(match one.found.as_ref().map_err(Clone::clone)? {
        Some(found) => namespaces::pod_security(found, one.class, &all.settings),
        None => namespaces::missing(&all.settings),
    })
}

async fn service_accounts(all: &Evidence, one: &OurNamespace) -> Outcome {
    let namespace = &one.account.namespace;
    let accounts = list::<ServiceAccount>(&all.administrator, Some(namespace)).await?;
    Ok(namespaces::accounts(&accounts, namespace, &all.settings))
}

async fn progress(all: &Evidence, one: &OurNamespace) -> Outcome {
    let namespace = &one.account.namespace;
    let sets = all.daemon_sets.as_ref().map_err(Clone::clone)?;
    let ours = sets.iter().filter(|set| set.metadata.namespace.as_ref() == Some(namespace));
    let reader = Reader::new(all.administrator.clone(), None);
    let query = Query { namespace: Some(namespace), ..Query::default() };
    let (mut pods, mut events) = (Vec::new(), Vec::new());
    reader.visit::<Pod, pods::Pod>(query, Form::Whole, |pod| pods.push(pod)).await?;
    let fields = format!("reason={FAILED_CREATE}");
    let refusals = Query { fields: Some(&fields), ..query };
    reader.visit::<Event, pods::Event>(refusals, Form::Whole, |event| events.push(event)).await?;
    Ok(progress::conclude(&ours.collect::<Vec<_>>(), &pods, &events, namespace, &all.settings))
}

/// The cluster-wide object of the installation.
async fn get<K>(all: &Evidence) -> Result<Option<K>, Trouble>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    get_named(all, &all.settings.installation.cluster_object()).await
}

async fn get_named<K>(all: &Evidence, name: &str) -> Result<Option<K>, Trouble>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    Reader::new(all.administrator.clone(), None).get::<K, K>(None, name).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_the_cluster_comes_first() {
        let settings = Settings::default();
        let names: BTreeSet<_> = rows(&settings).map(|row| row.name).collect();
        assert_eq!(names.len(), rows(&settings).count());
        assert!(rows(&settings).map(|row| !matches!(row.scope, Scope::Cluster(_))).is_sorted());
    }
}

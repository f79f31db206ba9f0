//! Whether this cluster keeps what is promised: seen from outside, by an administrator, without a pod and without a write.
//!
//! Most of it is tried and not read: requests in the name of our service accounts, with the groups that the API server gives
//! them and the node that a token would name. Each of them is a dry run, which is admitted as a real one would be and then
//! forgotten. A check counts as skipped until something shows that it passes or fails.

mod check;
mod claims;
mod identity;
mod namespaces;
mod objects;
mod policy;
mod policy_at_work;
mod progress;
mod report;
mod requests;
mod rights;
mod server;

use std::fmt::Debug;

pub use check::{Check, Verdict};
use k8s_openapi::api;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{Api, Client, Config, Resource};
use node_annotator_core::error::chain;
use node_annotator_core::{Prefix, PrivilegeClass};
use node_annotator_deploy::Installation;
pub use report::render;
use serde::de::DeserializeOwned;

use self::check::{Outcome, Unproven};
use self::identity::Identity;
use self::objects::{DaemonSet, Pod, list};
use self::requests::Nodes;
use crate::cluster::{self, ClusterError};
use crate::exit::Exit;

const SERVER_VERSION: &str = "server-version";
const POLICY: &str = "policy";
const POLICY_BOUND: &str = "policy-bound";
const DONE_LABELS: &str = "done-labels";
const POD_SECURITY: &str = "pod-security";
const SERVICE_ACCOUNTS: &str = "service-accounts";
const RIGHTS_SUFFICE: &str = "rights-suffice";
const RIGHTS_NARROW: &str = "rights-narrow";
const PROGRESS: &str = "progress";

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The installation, known by its namespace.
    pub installation: Installation,
    /// The domain that all its keys begin with.
    pub prefix: Prefix,
}

impl Settings {
    /// What brings everything back to what this version generates.
    fn apply_command(&self) -> String {
        let mut flags = String::new();
        if self.installation != Installation::default() {
            flags = format!(" --namespace {}", self.installation);
        }
        if self.prefix != Prefix::default() {
            flags = format!("{flags} --prefix {}", self.prefix);
        }
        format!(
            "apply again, with the flags it was installed with: node-annotator manifests{flags} | kubectl apply -f -"
        )
    }
}

/// All checks of one installation.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    settings: Settings,
    checks: Vec<Check>,
}

impl Diagnosis {
    /// Nothing is checked yet.
    fn new(settings: &Settings) -> Self {
        let of_the_cluster = [SERVER_VERSION, POLICY, POLICY_BOUND, DONE_LABELS];
        let checks = of_the_cluster.map(|name| Check::new(name, None)).to_vec();
        Self { settings: settings.clone(), checks }
    }

    fn add_namespace(&mut self, namespace: &str) {
        let names = [POD_SECURITY, SERVICE_ACCOUNTS, RIGHTS_SUFFICE, RIGHTS_NARROW];
        let names = names.into_iter().chain(policy_at_work::names()).chain([PROGRESS]);
        self.checks.extend(names.map(|name| Check::new(name, Some(namespace))));
    }

    fn conclude(&mut self, name: &str, namespace: Option<&str>, outcome: Outcome) {
        let mut checks = self.checks.iter_mut();
        let check = checks.find(|check| check.name == name && check.namespace.as_deref() == namespace);
        let check = check.expect("every check is on the list from the start");
        *check = check.clone().concluded(outcome);
    }

    /// The checks in the order in which they are shown: those of the cluster, then those of each namespace.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Done when everything holds, warnings included; otherwise whether something is wrong, or merely nothing proven.
    pub fn exit(&self) -> Exit {
        let any = |verdict| self.checks.iter().any(|check| check.verdict == verdict);
        if any(Verdict::Fail) {
            Exit::SomeFailed
        } else if any(Verdict::Skip) {
            Exit::NotPublished
        } else {
            Exit::Done
        }
    }
}

/// Makes all checks. What goes wrong meanwhile is the reason of a check that is skipped.
pub async fn diagnose(config: Result<Config, ClusterError>, settings: &Settings) -> Diagnosis {
    let mut diagnosis = Diagnosis::new(settings);
    match reach(config).await {
        Ok((clients, version)) => {
            diagnosis.conclude(SERVER_VERSION, None, version);
            check_all(&clients, &mut diagnosis).await;
        }
        Err(unproven) => {
            diagnosis.add_namespace(&settings.installation.namespace(PrivilegeClass::Restricted));
            diagnosis.conclude(SERVER_VERSION, None, Err(unproven));
        }
    }
    diagnosis
}

struct Clients {
    /// The administrator's.
    own: Client,
    /// The one whose requests may be made in another name.
    trying: Client,
}

/// The clients and the server's version. Nothing is tried where nobody answers.
async fn reach(config: Result<Config, ClusterError>) -> Result<(Clients, Outcome), Unproven> {
    let config = config.map_err(|error| Unproven::new(chain(&error), "set KUBECONFIG or --kubeconfig"))?;
    let mut bare = config.clone();
    let own = cluster::client(config)?;
    let version = match own.apiserver_version().await {
        Ok(info) => Ok(server::conclude(&info)),
        Err(error) if matches!(&error, kube::Error::Api(status) if status.code == 403) => Err(error.into()),
        Err(error) => return Err(error.into()),
    };
    let user = &mut bare.auth_info;
    if user.impersonate.is_none() {
        return Ok((Clients { trying: own.clone(), own }, version));
    }
    // A kubeconfig that acts as somebody else: the server takes one such name for each request.
    user.impersonate = None;
    user.impersonate_uid = None;
    user.impersonate_groups = None;
    user.impersonate_user_extra = None;
    Ok((Clients { own, trying: cluster::client(bare)? }, version))
}

async fn check_all(Clients { own: client, trying }: &Clients, diagnosis: &mut Diagnosis) {
    let settings = &diagnosis.settings.clone();
    let namespaces = find_namespaces(client, settings).await;
    let classes: Vec<_> = namespaces.iter().map(|(class, _)| *class).collect();
    let names: Vec<_> = classes.iter().map(|class| settings.installation.namespace(*class)).collect();
    let name = settings.installation.cluster_object();

    let policy = get::<ValidatingAdmissionPolicy>(client, name).await;
    let policy = policy.map(|found| policy::conclude(found.as_ref(), &classes, settings));
    diagnosis.conclude(POLICY, None, policy);
    let binding = get::<ValidatingAdmissionPolicyBinding>(client, name).await;
    let binding = binding.map(|found| policy::conclude_binding(found.as_ref(), settings));
    diagnosis.conclude(POLICY_BOUND, None, binding);
    let sets = list::<api::apps::v1::DaemonSet, DaemonSet>(client, None).await;
    let labels = sets.as_ref().map(|sets| claims::conclude(sets, &settings.prefix, &names));
    diagnosis.conclude(DONE_LABELS, None, labels.map_err(Clone::clone));

    let nodes = Nodes::pick(client).await;
    for (class, found) in namespaces {
        let identity = Identity::new(class, settings);
        let namespace = identity.namespace.as_str();
        diagnosis.add_namespace(namespace);
        let mut conclude = |name, outcome| diagnosis.conclude(name, Some(namespace), outcome);
        conclude(
            POD_SECURITY,
            found.map(|found| match found {
                Some(found) => namespaces::pod_security(&found, class, settings),
                None => namespaces::missing(settings),
            }),
        );
        let accounts = list::<ServiceAccount, ServiceAccount>(client, Some(namespace)).await;
        conclude(
            SERVICE_ACCOUNTS,
            accounts.map(|accounts| namespaces::accounts(&accounts, namespace, settings)),
        );
        conclude(RIGHTS_SUFFICE, rights::suffice(client, &identity, settings).await);
        conclude(RIGHTS_NARROW, rights::are_narrow(client, &identity).await);
        match &nodes {
            Ok(nodes) => {
                let outcomes = policy_at_work::outcomes(trying, &identity, nodes, settings).await;
                policy_at_work::names().zip(outcomes).for_each(|(name, outcome)| conclude(name, outcome));
            }
            Err(unproven) => policy_at_work::names().for_each(|name| conclude(name, Err(unproven.clone()))),
        }
        conclude(PROGRESS, progress(client, &sets, namespace, settings).await);
    }
}

type Found = Result<Option<Namespace>, Unproven>;

/// The namespaces that are there, or could be; that of the restricted pods if there is none.
async fn find_namespaces(client: &Client, settings: &Settings) -> Vec<(PrivilegeClass, Found)> {
    let mut found = Vec::new();
    for class in [PrivilegeClass::Privileged, PrivilegeClass::Restricted] {
        let namespace = get(client, &settings.installation.namespace(class)).await;
        let is_needed = class == PrivilegeClass::Restricted && found.is_empty();
        if is_needed || !matches!(namespace, Ok(None)) {
            found.insert(0, (class, namespace));
        }
    }
    found
}

async fn progress(
    client: &Client,
    sets: &Result<Vec<DaemonSet>, Unproven>,
    namespace: &str,
    settings: &Settings,
) -> Outcome {
    let sets = sets.as_ref().map_err(Clone::clone)?;
    let ours: Vec<_> =
        sets.iter().filter(|set| set.metadata.namespace.as_deref() == Some(namespace)).collect();
    let pods = list::<api::core::v1::Pod, Pod>(client, Some(namespace)).await?;
    Ok(progress::conclude(&ours, &pods, namespace, settings))
}

async fn get<K>(client: &Client, name: &str) -> Result<Option<K>, Unproven>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    Ok(Api::<K>::all(client.clone()).get_opt(name).await?)
}

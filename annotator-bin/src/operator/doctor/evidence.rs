//! What several checks look at, read once.

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, Node as K8sNode};
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::{Client, Config};
use node_annotator_core::PrivilegeClass;
use node_annotator_deploy::policy::Scope;
use tokio::time::{Instant, timeout_at};

use super::Settings;
use super::account::Account;
use super::expire::CronJob;
use super::grants::ClusterGrants;
use super::policy;
use super::tried_on::Nodes;
use crate::cluster::{self, ClusterError, Reason};
use crate::operator::fleet::node::Node;
use crate::operator::lists::{Form, Query, Reader, list};
use crate::trouble::Trouble;

/// The cluster as it is seen from outside.
pub(super) struct Evidence {
    pub(super) settings: Settings,
    /// Makes requests with the rights of who runs this.
    pub(super) administrator: Client,
    /// Makes requests that name another user themselves.
    pub(super) impersonating: Client,
    pub(super) version: Result<Info, Trouble>,
    /// The namespaces that are there, or could be; that of the restricted pods if there is none.
    pub(super) namespaces: Vec<OurNamespace>,
    /// The admission policy.
    pub(super) policy: Result<Option<ValidatingAdmissionPolicy>, Trouble>,
    /// What the policy says that it follows from.
    pub(super) scope: Scope,
    /// What runs again by itself what is stale.
    pub(super) cron_job: Result<Option<CronJob>, Trouble>,
    /// The DaemonSets of all namespaces.
    pub(super) daemon_sets: Result<Vec<DaemonSet>, Trouble>,
    /// What RBAC grants in all namespaces.
    pub(super) cluster_grants: Result<ClusterGrants, Trouble>,
    /// All nodes.
    pub(super) nodes: Result<Vec<Node>, Trouble>,
    /// Those of them that requests are tried on.
    pub(super) tried_on: Result<Nodes, Trouble>,
}

/// A namespace of the installation.
pub(super) struct OurNamespace {
    pub(super) class: PrivilegeClass,
    pub(super) found: Result<Option<Namespace>, Trouble>,
    pub(super) account: Account,
}

impl Evidence {
    /// Reads it. Where nobody answers nothing more is asked, and the error says why. A credential plugin has
    /// until `end`.
    pub(super) async fn read(
        config: Result<Config, ClusterError>,
        settings: &Settings,
        end: Instant,
    ) -> Result<Self, Trouble> {
        let config = config?;
        let impersonates = config.auth_info.impersonate.is_some();
        let bare = without_impersonation(config.clone());
        let administrator = client_by(end, config).await?;
        let version =
            match administrator.apiserver_version().await.map_err(|error| ClusterError::from(&error)) {
                Err(error) if error.reason() != Reason::Forbidden => return Err(error.into()),
                answer => answer.map_err(Trouble::from),
            };
        let impersonating = if impersonates { client_by(end, bare).await? } else { administrator.clone() };
        let mut namespaces = namespaces(&administrator, settings).await;
        let reader = Reader::new(administrator.clone(), None);
        let policy = reader
            .get::<ValidatingAdmissionPolicy, ValidatingAdmissionPolicy>(
                None,
                &settings.installation.cluster_object(),
            )
            .await;
        let scope = policy.as_ref().ok().and_then(Option::as_ref).and_then(policy::scope);
        let mut settings = settings.clone();
        if let Some(scope) = scope.as_ref().filter(|scope| scope.installation.is_of_task()) {
            // It has one namespace, for whatever its pods need.
            settings.installation = settings.installation.of_task();
            let class = scope.classes.first().copied();
            for namespace in &mut namespaces {
                namespace.class = class.unwrap_or(namespace.class);
            }
        }
        let classes = || namespaces.iter().map(|namespace| namespace.class).collect::<Vec<_>>();
        let cron_job = CronJob::read(&reader, &settings.installation.expire_namespace()).await;
        settings.expire = cron_job.as_ref().ok().and_then(Option::as_ref).map(CronJob::flags);
        let nodes = nodes(&administrator).await;
        Ok(Self {
            scope: scope.unwrap_or_else(|| settings.all_collectors(&classes())),
            policy,
            cron_job,
            namespaces,
            daemon_sets: list::<DaemonSet>(&administrator, None).await,
            cluster_grants: ClusterGrants::read(&administrator).await,
            tried_on: nodes.as_ref().map_err(Clone::clone).and_then(|nodes| Nodes::pick(nodes)),
            nodes,
            settings,
            administrator,
            impersonating,
            version,
        })
    }
}

/// All nodes, with what the checks look at.
async fn nodes(client: &Client) -> Result<Vec<Node>, Trouble> {
    let mut nodes = Vec::new();
    let reader = Reader::new(client.clone(), None);
    reader.visit::<K8sNode, Node>(Query::default(), Form::Whole, |node| nodes.push(node)).await?;
    Ok(nodes)
}

async fn client_by(end: Instant, config: Config) -> Result<Client, Trouble> {
    let plugin = cluster::plugin(&config);
    let client = timeout_at(end, cluster::listing_client_off_thread(config)).await;
    let late = |_| match plugin {
        Some(plugin) => Trouble::new(
            format!(
                "the credential plugin of the kubeconfig has not answered before the deadline (`{plugin}`)"
            ),
            "run it on a shell: does it wait for a login, or for a server? if it only takes long, a longer --deadline",
        ),
        None => super::too_late(),
    };
    Ok(client.map_err(late)??)
}

/// For a kubeconfig that acts as somebody else: the server takes one such name for each request.
fn without_impersonation(mut config: Config) -> Config {
    let user = &mut config.auth_info;
    user.impersonate = None;
    user.impersonate_uid = None;
    user.impersonate_groups = None;
    user.impersonate_user_extra = None;
    config
}

async fn namespaces(client: &Client, settings: &Settings) -> Vec<OurNamespace> {
    let mut namespaces = Vec::new();
    for class in [PrivilegeClass::Privileged, PrivilegeClass::Restricted] {
        let account = Account::new(class, settings);
        let reader = Reader::new(client.clone(), None);
        let found = reader.get::<Namespace, Namespace>(None, &account.namespace).await;
        let is_needed = class == PrivilegeClass::Restricted && namespaces.is_empty();
        if is_needed || !matches!(found, Ok(None)) {
            namespaces.insert(0, OurNamespace { class, found, account });
        }
    }
    namespaces
}

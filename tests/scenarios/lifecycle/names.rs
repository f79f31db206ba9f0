//! Namespaces that are named like objects of others which have no namespace.

use anyhow::{Result, ensure};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use node_annotator_deploy::Settings;
use node_annotator_tests::{Cluster, Options};

use crate::support::{install, key, node_of, settings, wait_for_label};

#[tokio::test]
async fn an_installation_takes_no_object_of_others_over() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    cluster.add_node(node_of("n1", "intel-xeon")).await?;
    let before = of_others(&cluster).await?;
    for namespace in ["admin", "edit", "view", "cluster-admin", "system"] {
        ensure!(before.iter().any(|(name, _)| name == namespace || namespace == "system"), "{namespace}");
        let prefix = format!("{namespace}.example.com").parse()?;
        let settings = Settings { installation: namespace.parse()?, prefix, ..settings("kernel") };
        install(&cluster, &settings).await?;
        wait_for_label(&cluster, "n1", &settings.prefix.done("kernel")).await?;
    }
    ensure!(before == of_others(&cluster).await?);
    let node = cluster.node("n1").await?;
    ensure!(!node.labels().contains_key(&key("kernel")), "{:?}", node.labels());
    Ok(())
}

/// Roles and bindings that have not our label, and what they grant.
async fn of_others(cluster: &Cluster) -> Result<Vec<(String, String)>> {
    let not_ours = ListParams::default().labels("app.kubernetes.io/name!=node-annotator");
    let roles = Api::<ClusterRole>::all(cluster.client()).list(&not_ours).await?;
    let bindings = Api::<ClusterRoleBinding>::all(cluster.client()).list(&not_ours).await?;
    let roles = roles.into_iter().map(|role| (role.name_any(), format!("{:?}", role.rules)));
    let bindings =
        bindings.into_iter().map(|it| (it.name_any(), format!("{:?} {:?}", it.role_ref, it.subjects)));
    Ok(roles.chain(bindings).collect())
}

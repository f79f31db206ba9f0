//! The `ClusterRole`s that are generated for operators: each right in them is needed, and no other.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::ClusterRole;
use node_annotator_deploy::roles;

use super::*;

const READER: &str = "reader";
const WRITER: &str = "writer";

/// A command, and how it ends for somebody who has the rights.
type Tried = (&'static [&'static str], i32);

/// All that read. `wait` watches until its end, since nothing gets done.
const READING: [Tried; 3] =
    [(&["status"], 0), (&["get", "kernel"], 0), (&["wait", "--timeout", "1s", "--nodes", "pending-1"], 3)];

/// All that write. `expire` has a node in its record that is gone, and forgets it.
const WRITING: [Tried; 3] = [
    (&["rerun", "--collectors", "kernel", "--nodes", "worker-1", "--wait", "--timeout", "30s"], 0),
    (&["expire"], 0),
    (&["clean", "--nodes", "worker-1", "--collectors", "site-rack", "--all-under-prefix", "--yes"], 0),
];

pub(super) async fn each_right_is_needed_and_no_other(cluster: &Cluster) -> Result<()> {
    for (user, role) in [(READER, roles::READ), (WRITER, roles::WRITE)] {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        cluster.apply(&binding).await?;
    }
    let nodes = NodeSpec::new("pending-1").resource("pods", "0");
    cluster.add_node(nodes).await?;
    check(cluster, READER, &roles::reading(), &READING).await?;
    check(cluster, WRITER, &roles::writing(), &WRITING).await
}

/// With the role all end as they are to, and without any one right at least one does not.
async fn check(cluster: &Cluster, user: &str, role: &ClusterRole, commands: &[Tried]) -> Result<()> {
    cluster.apply(role).await?;
    wait::until("all commands to end as they are to", async || {
        let refused = refused(cluster, user, commands).await?;
        ensure!(refused.is_empty(), "{refused:#?}");
        Ok(())
    })
    .await?;
    for (index, rule) in role.rules.iter().flatten().enumerate() {
        for verb in &rule.verbs {
            let mut less = role.clone();
            let rules = less.rules.as_mut().context("no rules")?;
            rules[index].verbs.retain(|other| other != verb);
            if rules[index].verbs.is_empty() {
                rules.remove(index);
            }
            cluster.apply(&less).await?;
            let what = format!("a command to need `{verb}` on {:?}", rule.resources);
            let refused = wait::until(&what, async || {
                let refused = refused(cluster, user, commands).await?;
                ensure!(!refused.is_empty(), "all end as before");
                Ok(refused)
            })
            .await?;
            eprintln!("without {verb} on {:?}: {}", rule.resources, refused[0]);
        }
    }
    cluster.apply(role).await.map(drop)
}

/// Which commands are told that they may not.
async fn refused(cluster: &Cluster, user: &str, commands: &[Tried]) -> Result<Vec<String>> {
    let records = Api::<ConfigMap>::namespaced(cluster.client(), "node-annotator-expire");
    let with_gone = Patch::Merge(json!({"data": {"gone-1": "1bd2a6f4"}}));
    records.patch("expired", &PatchParams::default(), &with_gone).await?;
    let mut refused = Vec::new();
    for (arguments, code) in commands {
        let ended = run(cluster, &[arguments, &["--as", user][..]].concat()).await?;
        if ended.code != *code || ended.stderr.contains("not allowed") || ended.stderr.contains("note: ") {
            refused.push(format!("{arguments:?}: {} {}", ended.code, ended.stderr));
        }
    }
    Ok(refused)
}

//! Where a task runs, and what else it is given.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ConfigMap, Toleration};
use kube::Api;
use node_annotator_tests::{Cluster, NodeSpec, Options};
use serde_json::json;

use super::{apply, apply_script, cluster, mark, printed, run, wait_for_label, wait_until_gone};
use crate::startup_taint::taints;
use crate::support::serves_mutating_policies;

/// The startup taint of a task.
const TAINT: &str = "startup-taint.cluster-autoscaler.kubernetes.io/node-annotator-once";

async fn daemon_set(cluster: &Cluster, task: &str) -> Result<DaemonSet> {
    let sets: Api<DaemonSet> = Api::namespaced(cluster.client(), &format!("once-{task}"));
    Ok(sets.get(&format!("node-annotator-{task}")).await?)
}

#[tokio::test]
async fn a_canary_runs_first_and_not_again_with_the_others() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    cluster.add_node(NodeSpec::new("n1").label("pool", "canary")).await?;
    cluster.add_node(NodeSpec::new("n2")).await?;
    let ran = cluster.folder().join("ran");
    let script = format!("echo x >> {}", ran.display());
    apply_script(&cluster, "tune", &["--node-selector=pool=canary"], &script).await?;
    wait_for_label(&cluster, "n1", "tune").await?;
    wait_until_gone(&cluster, "tune").await?;
    assert_eq!(mark(&cluster.node("n2").await?, "tune"), None);
    apply_script(&cluster, "tune", &[], &script).await?;
    wait_for_label(&cluster, "n2", "tune").await?;
    wait_until_gone(&cluster, "tune").await?;
    assert_eq!(fs::read_to_string(ran)?, "x\nx\n");
    Ok(())
}

#[tokio::test]
async fn a_node_loses_its_startup_taint_when_the_task_is_done_there() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    if !serves_mutating_policies(&cluster).await {
        return Ok(());
    }
    let own = |task: &str| format!("{TAINT}-{task}");
    let node = NodeSpec::new("n1").taint(&own("driver"), "NoSchedule").taint(&own("broken"), "NoSchedule");
    cluster.add_node(node.taint("example.com/other", "PreferNoSchedule")).await?;
    // Each tolerates its own taint alone, unless it says so.
    let tolerations = format!("--tolerations={},{}", own("driver"), own("broken"));
    let options = ["--startup-taint", "--tries=1", &tolerations];
    apply_script(&cluster, "driver", &options, "true").await?;
    wait_for_label(&cluster, "n1", "driver").await?;
    cluster
        .wait_for_node("n1", "the startup taint to go", |node| {
            if taints(node).contains(&own("driver").as_str()) {
                Err(format!("{:?}", taints(node)))
            } else {
                Ok(())
            }
        })
        .await?;
    wait_until_gone(&cluster, "driver").await?;
    assert_eq!(taints(&cluster.node("n1").await?), [own("broken").as_str(), "example.com/other"]);
    let tolerates = |set: &DaemonSet, key: &str| {
        let pod = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        let mut all = pod.into_iter().flat_map(|pod| pod.tolerations.iter().flatten());
        all.any(|Toleration { key: tolerated, .. }| tolerated.as_deref() == Some(key))
    };
    // It is added where nothing else is tolerated.
    apply_script(&cluster, "plain", &["--startup-taint", "--hold"], "true").await?;
    let plain = daemon_set(&cluster, "plain").await?;
    assert!(tolerates(&plain, &own("plain")) && !tolerates(&plain, &own("driver")), "{:#?}", plain.spec);

    // Where the task fails, workloads stay away, unless it is said otherwise.
    apply_script(&cluster, "broken", &options, "exit 1").await?;
    wait_for_label(&cluster, "n1", "broken.failed").await?;
    wait_until_gone(&cluster, "broken").await?;
    assert!(taints(&cluster.node("n1").await?).contains(&own("broken").as_str()));
    let options = [&options[..], &["--startup-taint-on-failure=remove"]].concat();
    apply_script(&cluster, "broken", &options, "exit 2").await?;
    cluster
        .wait_for_node("n1", "the startup taint to go", |node| match taints(node)[..] {
            ["example.com/other"] => Ok(()),
            ref others => Err(format!("{others:?}")),
        })
        .await
}

#[tokio::test]
async fn on_openshift_the_namespace_says_who_our_containers_are() -> Result<()> {
    let cluster = cluster().await?;
    apply_script(&cluster, "plain", &["--openshift"], "true").await?;
    wait_for_label(&cluster, "n1", "plain").await?;
    wait_until_gone(&cluster, "plain").await?;
    let set = daemon_set(&cluster, "plain").await?;
    let pod = set.spec.and_then(|spec| spec.template.spec).context("no pod")?;
    let ours = pod.init_containers.into_iter().flatten();
    let ours: Vec<_> = ours.filter(|container| container.name.starts_with("node-annotator")).collect();
    assert_eq!(ours.len(), 2);
    for container in ours {
        let context = container.security_context.context("no security context")?;
        assert_eq!((context.run_as_user, context.run_as_group), (None, None));
        assert_eq!(context.run_as_non_root, Some(true));
    }
    let wide = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {
        "hostPID": true, "containers": [{"name": "main", "image": "a", "command": ["true"]}],
    }});
    let refused = run(&cluster, &["once", "wide", "--openshift", "-f", "-"], &wide.to_string()).await?;
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
    assert!(refused.stderr.contains("leave out `hostPID`"), "{refused:?}");
    apply(&cluster, &["wide", "-f", "-"], &wide.to_string()).await?;
    wait_for_label(&cluster, "n1", "wide").await.map(drop)
}

#[tokio::test]
async fn what_the_pod_refers_to_is_copied_and_another_content_runs_again() -> Result<()> {
    let cluster = cluster().await?;
    let ran = cluster.folder().join("ran");
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": "apps"}, "spec": {
            "containers": [{
                "name": "main", "image": "a", "command": ["sh", "-c", format!("echo x >> {}", ran.display())],
                "volumeMounts": [{"name": "settings", "mountPath": "/settings"}],
            }],
            "volumes": [{"name": "settings", "configMap": {"name": "settings"}}],
        }})
        .to_string();
    let missing = run(&cluster, &["once", "tune", "-f", "-"], &pod).await?;
    assert_eq!((missing.code, missing.stdout.as_str()), (2, ""), "{missing:?}");
    let told = "kubectl get configmap settings --namespace apps -o yaml";
    assert!(missing.stderr.contains(told), "{missing:?}");

    let file = cluster.folder().join("settings.yaml");
    let write = |value: &str| {
        // As kubectl gives it.
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"size": value}, "metadata": {
            "name": "settings", "namespace": "apps", "uid": "c0ffee", "resourceVersion": value,
        }});
        fs::write(&file, map.to_string())
    };
    let file_option = format!("--with-config={}", file.display());
    let arguments = ["tune", &file_option, "-f", "-"];
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "once-tune");
    for (round, value) in ["1", "2"].into_iter().enumerate() {
        write(value)?;
        apply(&cluster, &arguments, &pod).await?;
        let copied = maps.get("settings").await?;
        assert_eq!(copied.data.context("no data")?["size"], value);
        let wanted = printed(&cluster, &arguments, &pod).await?;
        cluster
            .wait_for_node("n1", "the value of this input", |node| match mark(node, "tune") {
                Some(value) if wanted.contains(value) => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await?;
        wait_until_gone(&cluster, "tune").await?;
        assert_eq!(fs::read_to_string(&ran)?.lines().count(), round + 1);
    }
    // Only what a tool has written differs.
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"size": "2"}, "metadata": {"name": "settings"}});
    fs::write(&file, map.to_string())?;
    apply(&cluster, &arguments, &pod).await?;
    wait_until_gone(&cluster, "tune").await?;
    ensure!(fs::read_to_string(&ran)?.lines().count() == 2, "it ran again");
    Ok(())
}

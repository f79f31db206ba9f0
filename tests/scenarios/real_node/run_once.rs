//! Once per node, and nothing left.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::ResourceExt as _;
use serde_json::Value;
use xtask_workspace::static_binary;

use crate::world::{COLLECTORS, NAMESPACE, NODE, Watcher, World, key, restarts, settings};

/// From the PATCH until the pod object is gone, at most; the times are printed. The container ends within
/// milliseconds of its SIGTERM, and the kubelet looks at containers once a second. Without a handler it would
/// be the grace period of 5 s and more, on a busy machine it is longer than on an idle one, and without the
/// label it would be for ever.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// A `DaemonSet` that brings its pod back does it at once; a kubelet that restarts a container does it after
/// 10 s at most.
const QUIET: Duration = Duration::from_mins(1);

pub(crate) async fn every_pod_is_gone_after_its_patch(world: &mut World) -> Result<()> {
    let watcher = Watcher::start(world.pod_api());
    let manifests = world.install(&settings(&COLLECTORS.join(","))?).await?;
    ensure!(manifests.daemon_sets().count() == COLLECTORS.len());
    let namespaces = Api::<Namespace>::all(world.cluster().client());
    let namespace = namespaces.get(NAMESPACE).await?;
    assert_eq!(namespace.labels()["pod-security.kubernetes.io/enforce"], "restricted");

    for collector in COLLECTORS {
        world.wait_until_done(collector).await?;
    }
    let facts = facts(world).await?;
    // The machine may have a metadata service; the node has none. What only the network tells is not
    // compared.
    let local: Vec<_> = COLLECTORS.into_iter().filter(|name| *name != "digital-ocean-anchor-ip").collect();
    assert_eq!(
        facts,
        printed_by_the_binary(world, &local).await?,
        "the facts differ from those of the machine"
    );
    let node = world.own_node().await?;
    let info = node
        .status
        .and_then(|status| status.node_info)
        .context("the kubelet tells nothing of its machine")?;
    assert_eq!(Some(facts[&key("kernel.boot-id")].as_str()), info.boot_id.get(..8));
    assert_eq!(facts[&key("kernel")], info.kernel_version);

    let patches = world.cluster().annotator_requests().await?;
    assert_eq!(patches.len(), COLLECTORS.len(), "{patches:#?}");
    for patch in &patches {
        assert_eq!((patch.verb.as_str(), patch.code()), ("patch", 200));
        assert!(patch.is_on_node(NODE), "{}", patch.uri);
        let pod = &patch.user.extra["authentication.kubernetes.io/pod-name"][0];
        let took = world.time_until_gone(patch, pod).await?;
        println!("  {pod}: gone {took:.2?} after its PATCH");
        assert!(took < GONE_WITHIN, "{pod}: {took:?}");
    }

    tokio::time::sleep(QUIET).await;
    let pods = watcher.pods();
    assert_eq!(pods.len(), COLLECTORS.len(), "{:?}", pods.keys());
    for (name, pod) in &pods {
        assert_eq!(restarts(pod), 0, "{name}");
    }
    assert!(world.cluster().pods(NAMESPACE).await?.is_empty());
    assert_eq!(world.cluster().annotator_requests().await?.len(), COLLECTORS.len());
    Ok(())
}

/// Annotations of ours on the node.
pub(crate) async fn facts(world: &World) -> Result<BTreeMap<String, String>> {
    let node = world.own_node().await?;
    let ours =
        |(name, value): (&String, &String)| name.starts_with(&key("")).then(|| (name.clone(), value.clone()));
    Ok(node.annotations().iter().filter_map(ours).collect())
}

/// What a run on the machine itself would write, outside of every container.
pub(crate) async fn printed_by_the_binary(
    world: &World,
    collectors: &[&str],
) -> Result<BTreeMap<String, String>> {
    let program = tokio::task::spawn_blocking(static_binary::build).await??;
    let output = tokio::process::Command::new(program)
        .args(["--dry-run", "--output=json", "--collectors"])
        .arg(collectors.join(","))
        .current_dir(world.cluster().folder())
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let annotations = &report["patch"]["metadata"]["annotations"];
    let annotations = annotations.as_object().with_context(|| format!("no patch in {report:#}"))?;
    let set = annotations.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Ok(set.collect())
}

//! Uninstalling: one command, whatever was installed, and the facts stay.

use anyhow::{Context as _, Result, ensure};
use node_annotator_deploy::{Manifests, Settings};
use node_annotator_tests::{Cluster, Options, wait};

use super::combined;
use super::kubectl::Kubectl;
use crate::startup_taint::tainting;
use crate::support::{
    COLLECTORS, install, key, node_of, ours, serves_mutating_policies, settings, wait_for_label,
};

/// What the documentation says. The rights go before the policy that limits them.
const UNINSTALL: &str = "kubectl delete clusterrolebindings,clusterroles,flowschemas,namespaces,priorityclasses,\
validatingadmissionpolicybindings,validatingadmissionpolicies --selector app.kubernetes.io/part-of=node-annotator";

/// The same for what a startup taint adds.
const UNINSTALL_TAINT: &str = "kubectl delete mutatingadmissionpolicybindings,mutatingadmissionpolicies \
--selector app.kubernetes.io/part-of=node-annotator";

/// Every kind of object there is.
const LEFT: &str = "for kind in $(kubectl api-resources --verbs list,delete --output name); do \
kubectl get $kind --all-namespaces --ignore-not-found --output name \
--selector app.kubernetes.io/name=node-annotator; done";

#[tokio::test]
async fn one_command_takes_away_everything_but_the_facts() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let kubectl = Kubectl::of(&cluster).await?;
    cluster.add_node(node_of("n1", "intel-xeon")).await?;
    // Leftovers of another layout and of the other privilege class included.
    let is_tainting = serves_mutating_policies(&cluster).await;
    let startup_taint = tainting().startup_taint.filter(|_| is_tainting);
    let expire = Some("@hourly".parse()?);
    let both = Settings { host_network: true, startup_taint, expire, ..settings(&COLLECTORS.join(",")) };
    install(&cluster, &both).await?;
    what_runs_again_by_itself_goes_alone(&kubectl, &both).await?;
    install(&cluster, &both).await?;
    // Before the next: that leaves the other class's pods without the right to write.
    for collector in COLLECTORS {
        wait_for_label(&cluster, "n1", &key(collector)).await?;
    }
    install(&cluster, &combined("kernel")).await?;
    let before = ours(&cluster.node("n1").await?);
    assert!(before.len() > COLLECTORS.len(), "{before:?}");
    let installed = kubectl.run(LEFT).await?.stdout;
    for kind in ["namespace/", "daemonset.apps/", "clusterrole.rbac.authorization.k8s.io/", "priorityclass"] {
        assert!(installed.contains(kind), "{installed}");
    }

    let said = kubectl.run(UNINSTALL).await?;
    // Once per object, without a warning; it returns when all is gone.
    assert_eq!((said.stdout.lines().count(), said.stderr.as_str()), (13, ""), "{said:?}");
    if is_tainting {
        let said = kubectl.run(UNINSTALL_TAINT).await?;
        assert_eq!((said.stdout.lines().count(), said.stderr.as_str()), (2, ""), "{said:?}");
    }
    // The priority level is that of all installations.
    let kept = "prioritylevelconfiguration.flowcontrol.apiserver.k8s.io/node-annotator";
    wait::until("everything else to be gone", async || {
        let left = kubectl.run(LEFT).await?.stdout;
        if left.trim() == kept { Ok(()) } else { Err(anyhow::anyhow!("{left}")) }
    })
    .await?;
    assert_eq!(ours(&cluster.node("n1").await?), before);
    Ok(())
}

/// The command that stands in the manifests, and nothing else goes.
async fn what_runs_again_by_itself_goes_alone(kubectl: &Kubectl, settings: &Settings) -> Result<()> {
    let all = kubectl.run(LEFT).await?.stdout;
    let of_expire = LEFT.replace(
        "app.kubernetes.io/name=node-annotator",
        "app.kubernetes.io/name=node-annotator,app.kubernetes.io/component=expire",
    );
    let manifests = Manifests::new(settings)?;
    let is_of_expire = |line: &&str| line.contains("expire");
    ensure!(kubectl.run(&of_expire).await?.stdout.contains("cronjob.batch/expire"), "{all}");
    kubectl.run(manifests.expire_removal().context("there is a command")?).await?;
    wait::until("what runs again to be gone", async || {
        let left = kubectl.run(&of_expire).await?.stdout;
        if left.trim().is_empty() { Ok(()) } else { Err(anyhow::anyhow!("{left}")) }
    })
    .await?;
    let left = kubectl.run(LEFT).await?.stdout;
    for line in all.lines().filter(|line| !is_of_expire(line) && !line.contains("pod/")) {
        ensure!(
            left.lines().any(|other| other == line) || line.contains("controllerrevision"),
            "{line} is gone too:\n{left}"
        );
    }
    Ok(())
}

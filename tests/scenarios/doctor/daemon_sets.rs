//! DaemonSets that are in each other's way, and pods that do not get done.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Api;
use kube::api::DeleteParams;
use node_annotator_core::{DoneMark, GiveUpAfter};
use node_annotator_deploy::{Layout, Manifests, Settings};
use node_annotator_tests::{NodeSpec, wait};
use serde_json::json;

use super::{doctor_as, restore, start, wait_for, wait_for_finding};
use crate::support::{NAMESPACE, install, key, marked, node_of};

#[tokio::test]
async fn daemon_sets_that_claim_one_label_are_seen() -> Result<()> {
    let (cluster, settings) = start().await?;
    // Its affinity as the seed of this project has it; `start` has marked the only node.
    let labels = json!({"app.kubernetes.io/name": "do-floating-ip"});
    let term = json!({"matchExpressions": [{"key": key("kernel"), "operator": "DoesNotExist"}]});
    let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}});
    let older = json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "anchor-ip-annotator", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "affinity": {"nodeAffinity": required},
                    "containers": [{"name": "anchor-ip-annotator", "image": "do-floating-ip"}],
                },
            },
        },
    });
    cluster.apply(&older).await?;
    let seen = wait_for(&cluster, &[("done-labels", "FAIL")]).await?;
    let finding = &seen.check("done-labels").finding;
    assert!(finding.contains("`default/anchor-ip-annotator`"), "{finding}");
    assert!(finding.ends_with(" both run on every new node for `k8s.haim.dev/kernel`"), "{finding}");
    assert!(
        seen.hint("done-labels")
            .ends_with("kubectl delete daemonset --namespace default anchor-ip-annotator")
    );
    let sets: Api<DaemonSet> = Api::namespaced(cluster.client(), "default");
    sets.delete("anchor-ip-annotator", &DeleteParams::default()).await?;
    wait_for(&cluster, &[]).await?;

    // Two generations would run for ever: these wait for nodes that are not there.
    let of = |installation: &str, generation: &str| -> Result<_> {
        Ok(Settings {
            installation: installation.parse()?,
            mark: node_annotator_core::DoneMark::Generation(generation.parse()?),
            node_selector: [("absent".to_owned(), "yes".to_owned())].into(),
            ..settings.clone()
        })
    };
    for settings in [of(NAMESPACE, "2")?, of("facts", "1")?] {
        cluster.apply_yaml(&Manifests::new(&settings)?.yaml()?).await?;
    }
    let seen = wait_for(&cluster, &[("done-labels", "FAIL")]).await?;
    let finding = &seen.check("done-labels").finding;
    for collector in ["cpu-model", "kernel"] {
        let value = |generation: &str| -> Result<_> {
            Ok(marked(collector, &DoneMark::Generation(generation.parse()?)))
        };
        let text = format!(
            "`facts/node-annotator-{collector}` (generation `{}`) and `node-annotator/node-annotator-{collector}` (generation \
             `{}`) re-create each other's pods for ever over `k8s.haim.dev/{collector}`",
            value("1")?,
            value("2")?
        );
        assert!(finding.contains(&text), "{finding}");
    }
    let hint = seen.hint("done-labels");
    assert!(hint.ends_with("kubectl delete daemonset --namespace facts node-annotator-kernel"), "{hint}");
    Ok(())
}

#[tokio::test]
async fn daemon_sets_that_the_policy_does_not_cover_are_seen() -> Result<()> {
    let (cluster, settings) = start().await?;
    // The DaemonSets of another generation without their policy, for nodes that are not there.
    let other = Settings {
        mark: node_annotator_core::DoneMark::Generation("2".parse()?),
        node_selector: [("absent".to_owned(), "yes".to_owned())].into(),
        ..settings.clone()
    };
    restore(&cluster, &other, "DaemonSet").await?;
    let seen = wait_for(&cluster, &[("policy-covers", "FAIL")]).await?;
    let finding = &seen.check("policy-covers").finding;
    let value = marked("kernel", &other.mark);
    let named = format!("`node-annotator/node-annotator-kernel` (label `k8s.haim.dev/kernel={value}`)");
    assert!(finding.contains(&named), "{finding}");
    let command =
        "node-annotator manifests --collectors cpu-model,kernel --generation 2 | kubectl apply -f -";
    assert!(seen.hint("policy-covers").contains(command), "{}", seen.hint("policy-covers"));
    // What the command does, with the other flags as before.
    cluster.apply_yaml(&Manifests::new(&other)?.yaml()?).await?;
    wait_for(&cluster, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn pods_that_do_not_get_done_are_a_warning() -> Result<()> {
    let (cluster, _) = start().await?;
    // A duration that is none: the command line is wrong.
    let broken = node_of("broken", "intel-xeon").env("NODE_ANNOTATOR_DEADLINE", "never");
    cluster.add_node(broken).await?;
    // The pod has no termination message: the kubelet takes the end of its log.
    let end = "exit code 2: error: invalid value 'never' for '--deadline <DURATION>': not a duration: write it as `30s`, \
               `1m 30s` or `10m` For more information, try '--help'.";
    wait_for_finding(&cluster, &[("progress", "WARN")], end).await?;
    Ok(())
}

#[tokio::test]
async fn collectors_that_keep_failing_and_those_that_were_given_up_are_a_warning() -> Result<()> {
    let (cluster, settings) = start().await?;
    let root = cluster.folder().join("machine-without-files");
    // A host whose `/proc` is empty is one that cannot be seen, which is given up at once.
    fs::create_dir_all(root.join("proc/sys/kernel"))?;
    fs::write(root.join("proc/sys/kernel/ostype"), "Linux\n")?;
    let broken = NodeSpec::new("broken").env("NODE_ANNOTATOR_HOST_ROOT", root.to_string_lossy());
    cluster.add_node(broken).await?;
    let kernel = "`kernel` on 1, given up on 0 of them: cannot read `/proc/sys/kernel/osrelease`: No such file or directory \
                  (os error 2) (on 1, such as `broken`)";
    wait_for_finding(&cluster, &[("failures", "WARN")], kernel).await?;

    let impatient = Settings { give_up_after: GiveUpAfter::Time(Duration::from_secs(1)), ..settings.clone() };
    install(&cluster, &impatient).await?;
    let both = |seen: &str| seen.matches("given up on 1 of them").count() == 2;
    let seen = wait::until("both to be given up", async || {
        let seen = doctor_as(&cluster, &cluster.kubeconfig()).await?;
        if both(&seen.check("failures").finding) { Ok(seen) } else { Err(anyhow::anyhow!("{seen}")) }
    })
    .await?;
    let hint = seen.hint("failures");
    assert!(hint.ends_with(&format!("kubectl label node broken {}-", key("cpu-model.failed"))), "{hint}");
    Ok(())
}

#[tokio::test]
async fn what_the_other_layout_has_left_over_is_named() -> Result<()> {
    let (cluster, settings) = start().await?;
    let combined = Settings { layout: Layout::Combined, ..settings };
    install(&cluster, &combined).await?;
    let seen = wait_for(&cluster, &[("done-labels", "FAIL")]).await?;
    for name in ["node-annotator-cpu-model", "node-annotator-kernel"] {
        let command = format!("kubectl delete daemonset --namespace {NAMESPACE} {name}");
        assert!(seen.hint("done-labels").contains(&command), "{}", seen.hint("done-labels"));
        let sets: Api<DaemonSet> = Api::namespaced(cluster.client(), NAMESPACE);
        sets.delete(name, &DeleteParams::default()).await?;
    }
    wait_for(&cluster, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn pods_that_the_cluster_does_not_let_be_made_are_a_warning_with_its_reason() -> Result<()> {
    let (cluster, settings) = start().await?;
    cluster
        .apply(&json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": { "name": "nothing", "namespace": NAMESPACE }, "spec": { "hard": { "pods": "0" } },
        }))
        .await?;
    let mark = DoneMark::Generation("2".parse()?);
    install(&cluster, &Settings { mark, ..settings }).await?;
    let quota = "is forbidden: exceeded quota: nothing, requested: pods=1, used: pods=0, limited: pods=0";
    let seen = wait_for_finding(&cluster, &[("progress", "WARN")], quota).await?;
    assert_eq!(seen.check("progress").finding.matches("FailedCreate").count(), 1);
    Ok(())
}

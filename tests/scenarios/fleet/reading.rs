//! `status` and `get`: each state with its reason, and facts as they are on the nodes.

use std::io::Read as _;

use super::*;

pub(super) async fn every_state_is_told_with_its_reason_and_facts_are_shown(fleet: &Fleet) -> Result<()> {
    let cluster = &fleet.cluster;
    let states = wait_for_states(
        cluster,
        &[
            ("worker-1 kernel", "done"),
            ("worker-2 kernel", "done"),
            ("worker-3 kernel", "done"),
            ("amd-1 cpu-model", "done"),
            ("reboot-1 cpu-model", "done"),
            ("droplet-1 kernel", "done"),
            (
                "droplet-1 digital-ocean-anchor-ip",
                "given-up: the metadata service of DigitalOcean answered with status 500",
            ),
            ("out-1 kernel", "left-out: opted out by the label `k8s.haim.dev/opt-out`"),
            ("full-1 kernel", "pending: its pod: 0/10 nodes are available"),
            ("crash-1 kernel", "pending: its pod: exit code 2"),
            (
                "tainted-1 kernel",
                "pending: the taint `example.com/gpu=a:NoSchedule` is not tolerated by DaemonSet `node-annotator`",
            ),
        ],
    )
    .await?;
    assert!(states["full-1 kernel"].contains("Too many pods"), "{states:#?}");
    assert_eq!(states.len(), 10 * COLLECTORS.len(), "{states:#?}");

    status_is_folded_selected_and_counted(cluster).await?;
    facts_are_columns(cluster).await?;
    what_cannot_be_told_is_an_error(cluster).await?;

    waiting_ends_when_all_is_done_or_cannot_be(cluster).await
}

async fn status_is_folded_selected_and_counted(cluster: &Cluster) -> Result<()> {
    let all = run(cluster, &["status", "--exit-code"]).await?;
    assert_eq!(all.code, 3, "{all:?}");
    assert!(all.stdout.contains("\namd-1,reboot-1,worker-[1-3] "), "{}", all.stdout);
    let line = "\n10 nodes, 3 collectors: 17 done, 1 given-up, 9 pending, 3 left-out\n";
    assert!(all.stdout.ends_with(line), "{}", all.stdout);
    assert_eq!(all.stderr, "");
    let rows = |ended: &Ended| ended.stdout.lines().count();
    let unfolded = run(cluster, &["status", "--no-fold"]).await?;
    assert!(rows(&unfolded) >= 12 && rows(&all) <= 10, "{}\n{}", all.stdout, unfolded.stdout);

    for (arguments, nodes) in [
        (&["--nodes", "worker-[1-2]"][..], 2),
        (&["--selector", "pool"], 4),
        (&["--selector", "pool=a", "--nodes", "worker-3,amd-1"], 1),
        (&["--where", "cpu-model contains AMD"], 1),
        (&["--where", "pool in (a, b) and not cpu-model contains EPYC"], 3),
        (&["--where", "kernel"], 6),
    ] {
        let command = &["status", "-o", "json", "--collectors", "kernel,cpu-model"];
        let ended = run(cluster, &[&command[..], arguments].concat()).await?;
        assert_eq!(ended.code, 0, "{ended:?}");
        let status = ended.json()?;
        assert_eq!(status["nodeCount"], nodes, "{arguments:?}: {}", ended.stdout);
        assert_eq!(status["apiVersion"], "node-annotator/v1");
        assert!(!ended.stdout.contains(ANCHOR_IP), "{}", ended.stdout);
    }
    let done = run(cluster, &["status", "--exit-code", "--nodes", "worker-[1-3]"]).await?;
    assert_eq!(done.code, 0, "{done:?}");
    let names = run(cluster, &["status", "-o", "name"]).await?;
    assert_eq!(names.stdout, "node/crash-1\nnode/droplet-1\nnode/full-1\nnode/tainted-1\n");
    let csv = run(cluster, &["status", "-o", "csv"]).await?;
    assert!(csv.stdout.starts_with("node,collector,state,why\namd-1,cpu-model,done,\n"), "{}", csv.stdout);
    assert_eq!(rows(&csv), 1 + 10 * COLLECTORS.len());
    let yaml = run(cluster, &["status", "-o", "yaml"]).await?;
    assert!(yaml.stdout.starts_with("apiVersion: node-annotator/v1\nkind: FleetStatus\n"), "{}", yaml.stdout);
    Ok(())
}

async fn facts_are_columns(cluster: &Cluster) -> Result<()> {
    let grouped =
        run(cluster, &["get", "--group-by", "kernel,kubernetes.io/os", "--where", "kernel >= 5"]).await?;
    assert!(grouped.stdout.starts_with("KERNEL "), "{grouped:?}");
    assert!(grouped.stdout.contains("worker-[1-3]"), "{grouped:?}");
    let facts =
        run(cluster, &["get", "kernel,kernel.major,pool,site-rack", "-o", "json", "--sort-by", "pool"])
            .await?;
    let facts = facts.json()?;
    assert_eq!(facts["facts"][1], json!({"name": "kernel.major", "kind": "number"}));
    assert_eq!(facts["facts"][3], json!({"name": "site-rack", "kind": null}));
    let nodes = facts["nodes"].as_array().context("no nodes")?;
    assert_eq!(nodes.len(), 10);
    assert_eq!((&nodes[0]["name"], &nodes[3]["name"]), (&json!("worker-1"), &json!("amd-1")));
    let worker = cluster.node("worker-1").await?;
    let told = &crate::support::annotations(&worker)[&key("kernel")];
    assert_eq!(nodes[0]["facts"]["kernel"], **told);
    let table = run(cluster, &["get", "--nodes", "worker-1"]).await?;
    assert!(table.stdout.starts_with("NODE      CPU-MODEL"), "{}", table.stdout);
    assert!(table.stdout.contains(&format!(" {told}")), "{}", table.stdout);
    Ok(())
}

async fn what_cannot_be_told_is_an_error(cluster: &Cluster) -> Result<()> {
    for (arguments, code, error) in [
        (&["status", "--collectors", "virt"][..], 4, "error: the collector `virt` is not installed"),
        (&["status", "--selector", "no=such"], 4, "error: no node is selected"),
        (
            &["status", "--nodes", "no-such"],
            4,
            "note: there is no such node: no-such\nerror: no node is selected",
        ),
        (
            &["status", "--prefix", "example.com"],
            4,
            "error: no DaemonSet in the namespace `node-annotator` is keyed on labels under `example.com`",
        ),
        (&["status", "--as", "nobody"], 4, "error: not allowed: "),
        (&["status", "--context", "no-such"], 4, "error: no usable kubeconfig"),
        (&["get", "kernel.mayor"], 2, "error: `kernel` has no fact `mayor`"),
        (&["get", "--where", "kernel <"], 2, "error: --where cannot be read: at column 9"),
    ] {
        let ended = run(cluster, arguments).await?;
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{ended:?}");
        assert!(ended.stderr.starts_with(error), "{arguments:?}: {}", ended.stderr);
    }
    let refused = run(cluster, &["status", "--as", "nobody"]).await?;
    for words in ["kubectl apply --kustomize deploy/rbac", "`node-annotator.read` (deploy/rbac/reading.yaml)"]
    {
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    // A reader that has gone away has seen what it wanted.
    let (mut reader, writer) = std::io::pipe()?;
    let mut child =
        command(cluster, &["get", "-o", "json"])?.stdout(writer).stderr(Stdio::piped()).spawn()?;
    reader.read_exact(&mut [0; 1])?;
    drop(reader);
    assert_eq!(child.wait().await?.code(), Some(0));
    Ok(())
}

async fn waiting_ends_when_all_is_done_or_cannot_be(cluster: &Cluster) -> Result<()> {
    let done = run(cluster, &["wait", "--nodes", "worker-[1-3],amd-1,out-1"]).await?;
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", ""));
    let given_up = run(cluster, &["wait", "--nodes", "droplet-1", "--timeout", "5m"]).await?;
    assert_eq!(given_up.code, 3, "{given_up:?}");
    assert!(given_up.stderr.starts_with("error: what is left was given up\n"), "{given_up:?}");
    let late = run(cluster, &["wait", "--nodes", "full-1,worker-1", "--timeout", "2s"]).await?;
    assert_eq!(late.code, 3, "{late:?}");
    assert!(late.stdout.contains("Too many pods"), "{late:?}");
    assert!(late.stderr.starts_with("3 of 6 done, 3 to go\nerror: not done within 2s\n"), "{late:?}");
    Ok(())
}

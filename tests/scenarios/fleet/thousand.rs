//! A fleet of a thousand Nodes that are objects alone: each command, the watch through everything that
//! breaks, and what is stopped at any moment.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use rustix::process::{Pid, Signal, kill_process};

use super::relay::Relay;
use super::terminal::{OnTerminal, screen, shown};
use super::*;
use crate::support::{labels, ours, saved};

const COUNT: usize = 1000;

/// Given up on one collector; of another boot; not done; and all the others are done.
const GIVEN_UP: std::ops::Range<usize> = 0..50;
const STALE: std::ops::Range<usize> = 50..450;
const PENDING: std::ops::Range<usize> = 450..470;

fn name(index: usize) -> String {
    format!("n-{index:04}")
}

fn node(index: usize) -> Result<Node> {
    let (old, is_stale) = (&BOOTS[0][..8], STALE.contains(&index));
    let mut labels = json!({
        "kubernetes.io/os": "linux", "pool": if index.is_multiple_of(2) { "even" } else { "odd" },
        key("cpu-model"): saved("cpu-model"), key("kernel"): saved("kernel"), key(ANCHOR_IP): saved(ANCHOR_IP),
    });
    let mut annotations = json!({
        key("cpu-model"): "AMD EPYC", key("cpu-model.boot-id"): old,
        key("kernel"): "6.8.0", key("kernel.boot-id"): old,
    });
    let taken = labels.as_object_mut().context("no labels")?;
    if GIVEN_UP.contains(&index) {
        taken.remove(&key(ANCHOR_IP));
        taken.insert(key(&format!("{ANCHOR_IP}.failed")), json!(saved(ANCHOR_IP)));
        annotations[key(&format!("{ANCHOR_IP}.error"))] = json!("out of order");
    }
    if PENDING.contains(&index) {
        taken.remove(&key("kernel"));
    }
    let boot_id = BOOTS[usize::from(is_stale)];
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name(index), "labels": labels, "annotations": annotations},
        "status": {
            "nodeInfo": {"bootID": boot_id, "kernelVersion": "6.8.0"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }))?)
}

#[tokio::test]
async fn a_thousand_nodes_are_told_followed_and_changed() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let expire = Some("@hourly".parse()?);
    install(&cluster, &Settings { layout: Layout::Combined, expire, ..settings(&COLLECTORS.join(",")) })
        .await?;
    // Nothing is to run on nodes without a machine.
    cluster.control_plane().pause_controllers()?;
    cluster.create_nodes((0..COUNT).map(node).collect::<Result<Vec<_>>>()?).await?;
    everything_is_told_in_pages(&cluster).await?;
    the_watch_goes_on_whatever_breaks(&cluster).await?;
    what_is_stopped_goes_on(&cluster).await?;
    a_cut_connection_is_no_end(&cluster).await
}

async fn everything_is_told_in_pages(cluster: &Cluster) -> Result<()> {
    let before = cluster.annotator_requests().await?.len();
    let status = run(cluster, &["status"]).await?;
    let line = "\n1000 nodes, 3 collectors: 2130 done, 50 given-up, 800 stale, 20 pending\n";
    assert!(status.stdout.ends_with(line), "{}", status.stdout);
    for row in
        ["n-[0000-0049]  50     given-up", "n-[0050-0449]  400    stale", "n-[0450-0469]  20     pending"]
    {
        assert!(status.stdout.contains(row), "{row}: {}", status.stdout);
    }
    assert_eq!(status.stdout.lines().count(), 6, "{}", status.stdout);
    let all = run(cluster, &["status", "-o", "json"]).await?.json()?;
    assert_eq!(all["nodes"].as_array().map(Vec::len), Some(COUNT));
    let names = run(cluster, &["get", "-o", "name", "--where", "pool == odd"]).await?;
    assert_eq!(names.stdout.lines().count(), COUNT / 2);
    let groups = run(cluster, &["get", "--group-by", "kernel,pool"]).await?;
    assert_eq!(groups.stdout.lines().count(), 3, "{groups:?}");
    let late = run(cluster, &["wait", "--timeout", "5s", "--collectors", "kernel"]).await?;
    assert!(late.code == 3 && late.stderr.contains("980 of 1000 done, 20 to go"), "{late:?}");
    let dry = run(cluster, &["expire", "--dry-run"]).await?;
    assert!(dry.stdout.contains("n-[0050-0449]  400    cpu-model,kernel"), "{dry:?}");
    let (failed, stale) =
        (format!("n-[0000-0049]  50     {ANCHOR_IP}"), "n-[0050-0449]  400    cpu-model,kernel");
    for (which, rows) in [
        (&["--failed"][..], &[failed.as_str()][..]),
        (&["--stale"], &[stale]),
        (&["--failed", "--stale"], &[&failed, stale]),
        // What is due anyway is left alone.
        (
            &["--where", "kernel and pool == odd", "--collectors", "kernel", "--nodes", "n-[0440-0479]"],
            &["10     kernel"],
        ),
    ] {
        let dry = run(cluster, &[&["rerun", "--dry-run"], which].concat()).await?;
        assert_eq!(dry.stdout.lines().count(), 1 + rows.len(), "{dry:?}");
        assert!(rows.iter().all(|row| dry.stdout.contains(row)), "{dry:?}");
    }

    let requests = cluster.annotator_requests().await?.split_off(before);
    assert!(
        requests.iter().all(|request| ["get", "list", "watch"].contains(&request.verb.as_str())),
        "{requests:#?}"
    );
    let lists: Vec<_> =
        requests.iter().filter(|it| it.verb == "list" && it.object.resource == "nodes").collect();
    assert!(lists.len() >= 14 && lists.iter().all(|list| list.uri.contains("limit=500")), "{lists:#?}");
    Ok(())
}

async fn is_done(cluster: &Cluster, nodes: std::ops::Range<usize>) -> Result<()> {
    for index in nodes {
        cluster.label_node(&name(index), &key("kernel"), Some(&saved("kernel"))).await?;
    }
    Ok(())
}

/// On a terminal, through a relay: a connection that is cut, a server that has forgotten, nodes that vanish.
async fn the_watch_goes_on_whatever_breaks(cluster: &Cluster) -> Result<()> {
    let relay = Relay::start(cluster).await?;
    let mut watching = command(cluster, &["status", "--watch", "--collectors", "kernel"])?;
    watching.env("NODE_ANNOTATOR_KUBECONFIG", relay.kubeconfig());
    let before = cluster.annotator_requests().await?.len();
    let watching = OnTerminal::start(watching, 60)?;
    watching.wait_for("980 of 1000 done, 20 to go").await?;
    is_done(cluster, 450..454).await?;
    watching.wait_for("984 of 1000 done, 16 to go").await?;
    relay.cut();
    is_done(cluster, 454..458).await?;
    let nodes = Api::<Node>::all(cluster.client());
    for index in 458..461 {
        nodes.delete(&name(index), &DeleteParams::default()).await?;
    }
    watching.wait_for("988 of 997 done, 9 to go").await?;
    // What happens meanwhile is forgotten with the server's memory.
    relay.hold(true);
    relay.cut();
    is_done(cluster, 461..465).await?;
    nodes.delete(&name(465), &DeleteParams::default()).await?;
    cluster.stop_api_server();
    cluster.start_api_server().await?;
    relay.hold(false);
    watching.wait_for("992 of 996 done, 4 to go").await?;
    is_done(cluster, 466..470).await?;
    let (code, written) =
        tokio::time::timeout(wait::DEADLINE, watching.ended()).await.context("it never ends")??;
    assert_eq!(code, Some(0), "{written}");
    let shown = shown(&written);
    for text in ["980 of 1000 done, 20 to go", "984 of 1000 done, 16 to go", "988 of 997 done, 9 to go"] {
        assert!(shown.iter().any(|shown| shown.starts_with(text)), "{text}: {shown:#?}");
    }
    assert!(shown.iter().any(|text| text.contains(" a second, about ")), "{shown:#?}");
    let lines = screen(&written);
    assert!(lines.iter().all(|line| line.chars().count() <= 60), "{lines:#?}");
    assert!(shown[..shown.len() - 1].iter().all(|text| text.chars().count() < 60), "{shown:#?}");
    assert_eq!(
        lines.last().map(String::as_str),
        Some("996 nodes, 1 collector: 596 done, 400 stale"),
        "{lines:#?}"
    );
    let requests = cluster.annotator_requests().await?.split_off(before);
    let of_nodes =
        |verb: &str| requests.iter().filter(|it| it.verb == verb && it.object.resource == "nodes").count();
    // Two pages at first, two once the server has forgotten, and two for the table.
    assert_eq!(of_nodes("list"), 6, "{requests:#?}");
    assert!(of_nodes("watch") >= 2, "{requests:#?}");
    Ok(())
}

/// The keys of ours on each node.
async fn keys(cluster: &Cluster) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let nodes = Api::<Node>::all(cluster.client()).list(&ListParams::default()).await?;
    Ok(nodes.iter().map(|node| (node.name_any(), ours(node))).collect())
}

/// Runs a command that is stopped again and again, each time later, and then to its end. Each node is as it
/// was or as it is to be at each moment.
async fn stopped_again_and_again(
    cluster: &Cluster,
    arguments: &[&str],
    meant: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let before = keys(cluster).await?;
    let (mut partial, mut at) = (0, before.clone());
    for (round, signal) in [Signal::INT, Signal::KILL, Signal::TERM, Signal::INT].into_iter().enumerate() {
        let child = command(cluster, arguments)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // As soon as it has begun, and each time a little later: nodes come in order of name.
        let first = at.iter().find(|(node, keys)| meant(node) && before[*node] == **keys);
        let (first, keys_before) = first.context("nothing is left")?;
        wait::until("the command to begin", async || {
            let now = ours(&cluster.node(first).await?);
            ensure!(now != *keys_before, "nothing has changed");
            Ok(())
        })
        .await?;
        tokio::time::sleep(Duration::from_millis(30) * u32::try_from(round)?).await;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("it has ended")?;
        kill_process(pid, signal)?;
        let output = child.wait_with_output().await?;
        let stderr = String::from_utf8(output.stderr)?;
        if signal == Signal::KILL {
            assert_eq!(output.status.code(), None, "{stderr}");
        } else if output.status.code() == Some(0) {
            // It was faster.
            break;
        } else {
            assert_eq!(output.status.code(), Some(4), "{stderr}");
            assert!(stderr.contains("not begun, since it was stopped: "), "{stderr}");
            assert!(stderr.contains("hint: the same command goes on where this one ended"), "{stderr}");
        }
        let now = keys(cluster).await?;
        let left = now.iter().filter(|(node, keys)| meant(node) && before[*node] == **keys).count();
        let touched = now.iter().filter(|(node, keys)| before[*node] != **keys).count();
        partial += usize::from(left > 0 && touched > 0);
        if left == 0 {
            break;
        }
        at = now;
    }
    assert!(partial > 0, "it was never stopped in the middle");
    let last = run(cluster, arguments).await?;
    assert_eq!(last.code, 0, "{last:?}");
    let after = keys(cluster).await?;
    for (node, keys) in &after {
        assert_eq!(meant(node), before[node] != *keys, "{node}: {keys:#?}");
    }
    let nothing = run(cluster, arguments).await?;
    assert!(nothing.code == 0 && nothing.stderr.contains("nothing to "), "{nothing:?}");
    Ok(after)
}

async fn what_is_stopped_goes_on(cluster: &Cluster) -> Result<()> {
    let stale: BTreeSet<_> = STALE.map(name).collect();
    let expire = ["expire", "--max-in-flight", "1"];
    let after = stopped_again_and_again(cluster, &expire, |node| stale.contains(node)).await?;
    let gone = ["cpu-model", "kernel"].map(|collector| format!("label {}", key(collector)));
    for (node, keys) in after.iter().filter(|(node, _)| stale.contains(*node)) {
        assert!(gone.iter().all(|label| !keys.contains_key(label)), "{node}: {keys:#?}");
        assert!(keys.contains_key(&format!("label {}", key(ANCHOR_IP))), "{node}: {keys:#?}");
        assert_eq!(keys[&format!("annotation {}", key("kernel"))], "6.8.0");
    }
    let record =
        Api::<ConfigMap>::namespaced(cluster.client(), "node-annotator-expire").get("expired").await?;
    let record = record.data.unwrap_or_default();
    // What was killed may have removed a few whose boots were not written down.
    assert!(record.len() >= STALE.len() - 2 && record.keys().all(|node| stale.contains(node)), "{record:?}");

    let rerun = ["rerun", "--collectors", ANCHOR_IP, "--max-in-flight", "1", "--selector", "pool=odd"];
    let is_odd = |node: &str| node.ends_with(['1', '3', '5', '7', '9']);
    stopped_again_and_again(cluster, &rerun, is_odd).await?;
    let clean = ["clean", "--yes"];
    let after = stopped_again_and_again(cluster, &clean, |_| true).await?;
    assert!(after.values().all(BTreeMap::is_empty), "{after:#?}");
    Ok(())
}

/// All labels are there again, and the connection is cut while they are taken away.
async fn a_cut_connection_is_no_end(cluster: &Cluster) -> Result<()> {
    let odd: Vec<_> = (0..COUNT).step_by(5).filter(|index| !(458..470).contains(index)).collect();
    for index in &odd {
        cluster.label_node(&name(*index), &key("kernel"), Some(&saved("kernel"))).await?;
    }
    let relay = Relay::start(cluster).await?;
    let mut again = command(cluster, &["rerun", "--collectors", "kernel", "--max-in-flight", "4"])?;
    again.env("NODE_ANNOTATOR_KUBECONFIG", relay.kubeconfig());
    let again = again.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let has_label = |node: &Node| labels(node).contains_key(&key("kernel"));
    let mut cuts = 0;
    wait::until("all labels to be gone", async || {
        let nodes = Api::<Node>::all(cluster.client()).list(&ListParams::default()).await?;
        let left = nodes.iter().filter(|node| has_label(node)).count();
        if (1..odd.len()).contains(&left) && cuts < 4 {
            relay.cut();
            cuts += 1;
        }
        ensure!(left == 0, "{left} are left");
        Ok(())
    })
    .await?;
    let output = again.wait_with_output().await?;
    let stderr = String::from_utf8(output.stderr)?;
    assert!(cuts > 0, "nothing was cut");
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.ends_with(&format!("nodes changed: {}\n", odd.len())), "{cuts}: {stderr}");
    Ok(())
}

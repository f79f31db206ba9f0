//! From the label to the end of the pod: what handling SIGTERM is worth.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use kube::ResourceExt as _;
use node_annotator_tests::audit::Request;
use node_annotator_tests::wait;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{NAMESPACE, NODE, World, key, settings};

const RUNS: usize = 20;

/// Of each that ours is compared with; they take ten times as long.
const RUNS_OF_OTHERS: usize = 5;

/// Ours ends at once, a container that ignores SIGTERM with its grace period, and one that sleeps for 10 s
/// when it slept.
pub(crate) async fn sigterm_ends_a_lingering_container_at_once(world: &mut World) -> Result<()> {
    world.install(&settings("kernel")?).await?;
    let mut ours = Vec::new();
    for run in 1..=RUNS {
        world.wait_until_done("kernel").await?;
        let patches = world.stored().await?;
        let patches: Vec<_> = patches.into_iter().filter(|it| it.uri.contains(NODE)).collect();
        let patch = patches.last().context("no PATCH")?;
        let pod = patch.user.extra["authentication.kubernetes.io/pod-name"][0].clone();
        ours.push(world.time_until_gone(patch, &pod).await?);
        if run < RUNS {
            let done = key("kernel");
            world.patch_node(json!({"metadata": {"labels": {done: null}}})).await?;
            wait::until("the next PATCH", async || {
                let now = world.cluster().audit().requests(Request::is_annotators)?.len();
                ensure!(now > run, "{now} so far");
                Ok(())
            })
            .await?;
        }
    }
    print("ours", &mut ours);

    let deaf = (0..RUNS_OF_OTHERS).map(|run| time_of(world, format!("deaf-{run}"), 5, &["--ignore-sigterm"]));
    let mut deaf = try_join_all(deaf).await?;
    print("ignoring SIGTERM, grace period of 5 s", &mut deaf);
    let seed = ["--ignore-sigterm", "--exit-after=10s"];
    let slept = (0..RUNS_OF_OTHERS).map(|run| time_of(world, format!("slept-{run}"), 30, &seed));
    let mut slept = try_join_all(slept).await?;
    print("sleeping for 10 s, then exiting", &mut slept);

    // The kubelet looks at containers once a second: that, and not the container, makes the difference
    // between runs. On a busy machine all of them take longer: they are held against each other, and against
    // the grace period alone.
    let ours = ours[RUNS / 2];
    ensure!(deaf[0] > Duration::from_secs(5), "{deaf:?}");
    ensure!(ours * 2 < deaf[0], "{ours:?} and {deaf:?}");
    ensure!(ours * 2 < slept[0], "{ours:?} and {slept:?}");
    Ok(())
}

/// From the label to the end of a pod that is not ours, in a `DaemonSet` that is keyed on the label.
async fn time_of(world: &World, name: String, grace: u64, arguments: &[&str]) -> Result<Duration> {
    let label = format!("example.com/{name}");
    world.cluster().apply(&daemon_set(&name, &label, grace, arguments)).await?;
    let pod = wait::until("its pod to run", async || {
        let pods = world.cluster().pods(NAMESPACE).await?;
        let pod = pods.into_iter().find(|pod| pod.labels().get("app") == Some(&name)).context("no pod")?;
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone());
        ensure!(phase.as_deref() == Some("Running"), "{phase:?}");
        Ok(pod.name_any())
    })
    .await?;
    let start = Instant::now();
    world.patch_node(json!({"metadata": {"labels": {&label: "done"}}})).await?;
    wait::until("its pod to go", async || {
        ensure!(world.pod_api().get_opt(&pod).await?.is_none(), "still there");
        Ok(())
    })
    .await?;
    let took = start.elapsed();
    world.patch_node(json!({"metadata": {"labels": {&label: null}}})).await?;
    Ok(took)
}

fn daemon_set(name: &str, label: &str, grace: u64, arguments: &[&str]) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": label, "operator": "DoesNotExist"}]}],
                    }}},
                    "terminationGracePeriodSeconds": grace,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [{
                        "name": "idle",
                        "image": "localhost/idle:1",
                        "args": arguments,
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }],
                },
            },
        },
    })
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 10];
    println!(
        "  {what}: median {:.2?}, least {:.2?}, 9 of 10 within {:.2?}, most {:.2?} ({} runs)",
        at(5),
        at(0),
        at(9),
        at(10),
        times.len()
    );
}

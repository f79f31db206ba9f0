//! The CronJob at its own time: nobody starts its job.

use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::ResourceExt as _;
use kube::api::ListParams;

use super::again::{EXPIRE, combined, removed};
use super::*;
use crate::support::{annotations, wait_for_label, wait_until_gone};

/// Longer than the two minutes in which a job of each minute has to begin, with its pod.
const TIME: Duration = Duration::from_mins(3);

#[tokio::test]
async fn a_node_that_was_rebooted_runs_again_when_the_schedule_says_so() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let root = add_rebooting(&cluster).await?;
    // Old facts run again too; those of today are none.
    let every_minute = Settings {
        expire: Some("* * * * *".parse()?),
        stamp_day: true,
        expire_max_age: Some(30),
        ..combined()
    };
    let sets = install(&cluster, &every_minute).await?;
    for collector in COLLECTORS {
        wait_for_label(&cluster, "reboot-1", &key(collector)).await?;
    }
    wait_until_gone(&cluster, &sets).await?;

    boot(&root, BOOTS[1])?;
    tell_boot(&cluster, "reboot-1", BOOTS[1]).await?;
    wait::until_within(TIME, "the facts of this boot", async || {
        let node = cluster.node("reboot-1").await?;
        let told = annotations(&node).get(&key("kernel.boot-id")).cloned().unwrap_or_default();
        ensure!(told == BOOTS[1][..8], "{told}");
        Ok(())
    })
    .await?;
    assert_eq!(removed(&cluster).await?, ["reboot-1: cpu-model,kernel"]);
    let jobs = Api::<Job>::namespaced(cluster.client(), EXPIRE).list(&ListParams::default()).await?;
    let is_of_cron_job = |job: &Job| job.owner_references().iter().any(|owner| owner.kind == "CronJob");
    assert!(!jobs.items.is_empty() && jobs.iter().all(is_of_cron_job), "{jobs:#?}");
    let cron_jobs = Api::<CronJob>::namespaced(cluster.client(), EXPIRE);
    cluster
        .wait_for_object(cron_jobs, "expire", "it to know of its success", |job| {
            let status = job.and_then(|job| job.status.as_ref()).ok_or("no status")?;
            status.last_successful_time.as_ref().map(drop).ok_or(format!("{status:?}"))
        })
        .await
}

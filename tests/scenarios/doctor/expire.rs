//! What runs again by itself: there, suspended, without its policy, used by others, and gone.

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::batch::v1::CronJob;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use node_annotator_deploy::Settings;
use serde_json::json;

use super::{developers_are_named, restore, start_with, wait_for, wait_for_finding};
use crate::support::settings;

const EXPIRE: &str = "node-annotator-expire";
const POLICY: &str = "node-annotator.expire";
const FLAGS: &str = " --expire '@hourly' --expire-max-age 30d | kubectl apply -f -";

#[tokio::test]
async fn what_runs_again_by_itself_is_looked_after() -> Result<()> {
    let expire = Some("@hourly".parse()?);
    let settings =
        Settings { expire, stamp_day: true, expire_max_age: Some(30), ..settings("cpu-model,kernel") };
    let (cluster, settings) = start_with(settings).await?;
    let seen = wait_for(&cluster, &[]).await?;
    assert_eq!(seen.check("expire").finding, "runs at `@hourly`, and its policy holds it");
    assert_eq!(seen.check("expire-users").finding, "nobody but administrators may use the account");

    let cron_jobs: Api<CronJob> = Api::namespaced(cluster.client(), EXPIRE);
    let suspended = Patch::Merge(json!({"spec": {"suspend": true}}));
    cron_jobs.patch("expire", &PatchParams::default(), &suspended).await?;
    let seen = wait_for(&cluster, &[("expire", "WARN")]).await?;
    assert!(seen.hint("expire").starts_with("kubectl patch cronjob expire --namespace"), "{seen:?}");
    let resumed = Patch::Merge(json!({"spec": {"suspend": false}}));
    cron_jobs.patch("expire", &PatchParams::default(), &resumed).await?;
    wait_for(&cluster, &[]).await?;

    let seen = developers_are_named(&cluster, EXPIRE, "expire-users").await?;
    assert!(seen.hint("expire-users").contains(EXPIRE), "{seen:?}");

    let policies: Api<ValidatingAdmissionPolicy> = Api::all(cluster.client());
    policies.delete(POLICY, &DeleteParams::default()).await?;
    let seen = wait_for(&cluster, &[("expire", "FAIL")]).await?;
    assert!(seen.hint("expire").ends_with(FLAGS), "what is applied keeps the CronJob: {seen:?}");
    restore(&cluster, &settings, "ValidatingAdmissionPolicy").await?;
    let policy_bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(cluster.client());
    policy_bindings.delete(POLICY, &DeleteParams::default()).await?;
    wait_for_finding(&cluster, &[("expire", "FAIL")], "is missing, or binds something else").await?;
    restore(&cluster, &settings, "ValidatingAdmissionPolicyBinding").await?;
    wait_for(&cluster, &[]).await?;

    // Without the CronJob the queue is one for a namespace too many.
    cron_jobs.delete("expire", &DeleteParams::default()).await?;
    let seen = wait_for(&cluster, &[("flow-schema", "WARN")]).await?;
    assert!(seen.check("expire").finding.starts_with("there is none: "), "{seen:?}");
    assert!(seen.hint("flow-schema").ends_with("manifests | kubectl apply -f -"), "{seen:?}");
    Ok(())
}

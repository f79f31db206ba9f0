//! Whether the CronJob that runs again what is stale is held by its policy, and does its work.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::batch::v1::CronJob as K8sCronJob;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use node_annotator_deploy::expire::CRON_JOB;
use node_annotator_deploy::policy::{self, Scope};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::Settings;
use super::check::Conclusion;
use super::policy::differences;
use crate::operator::lists::Reader;
use crate::trouble::Trouble;

/// A CronJob, decoded to what is looked at: the whole of it has a pod in it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CronJob {
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    schedule: String,
    suspend: bool,
    job_template: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    active: Option<Vec<IgnoredAny>>,
    last_schedule_time: Option<Time>,
    last_successful_time: Option<Time>,
}

impl CronJob {
    /// Reads it, if there is one.
    pub(super) async fn read(reader: &Reader, namespace: &str) -> Result<Option<Self>, Trouble> {
        reader.get::<K8sCronJob, Self>(Some(namespace), CRON_JOB).await
    }

    /// The flags of `manifests` that make such a one.
    pub(super) fn flags(&self) -> String {
        let arguments = self.spec.job_template.pointer("/spec/template/spec/containers/0/args");
        let mut arguments =
            arguments.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let max_age = arguments.find_map(|argument| argument.strip_prefix("--max-age="));
        let max_age = max_age.map(|days| format!(" --expire-max-age {days}")).unwrap_or_default();
        format!("--expire '{}'{max_age}", self.spec.schedule)
    }
}

/// What there is in the cluster.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) cron_job: Option<CronJob>,
    pub(super) policy: Option<ValidatingAdmissionPolicy>,
    pub(super) binding: Option<ValidatingAdmissionPolicyBinding>,
}

/// The policy first: what it does not hold may change every Node.
pub(super) fn conclude(found: &Found, scope: &Scope, settings: &Settings) -> Conclusion {
    let namespace = settings.installation.expire_namespace();
    let Some(job) = &found.cron_job else {
        return Conclusion::pass("there is none: what is stale runs again when somebody runs `expire`");
    };
    let name = settings.installation.expire_object();
    let CronJob { spec, status } = job;
    let apply = settings.apply_command();
    let take_away = format!(
        "until then a stolen token of it may change every node: first take the right away, kubectl delete clusterrolebinding \
         {name}, then {apply}"
    );
    let Some(held) = found.policy.as_ref().and_then(|policy| policy.spec.as_ref()) else {
        return Conclusion::fail(format!("there is no ValidatingAdmissionPolicy `{name}`"), take_away);
    };
    let is_bound = found
        .binding
        .as_ref()
        .is_some_and(|binding| binding.spec == policy::expire_binding(&settings.installation).spec);
    if !is_bound {
        return Conclusion::fail(
            format!("the ValidatingAdmissionPolicyBinding `{name}` is missing, or binds something else"),
            take_away,
        );
    }
    let expected = policy::expire_policy(scope, policy::expire_rules(scope)).spec.unwrap_or_default();
    let differences = differences(held, &expected);
    if !differences.is_empty() {
        return Conclusion::fail(
            format!("the policy `{name}` is not as this version generates it: {}", differences.join("; ")),
            take_away,
        );
    }
    if spec.suspend {
        return Conclusion::warn(
            "it is suspended: nothing runs again by itself",
            format!(
                "kubectl patch cronjob {CRON_JOB} --namespace {namespace} --patch '{{\"spec\":{{\"suspend\":false}}}}'"
            ),
        );
    }
    let is_at_work = status.active.as_ref().is_some_and(|active| !active.is_empty());
    match (&status.last_schedule_time, &status.last_successful_time) {
        (Some(begun), succeeded)
            if !is_at_work && succeeded.as_ref().is_none_or(|succeeded| succeeded < begun) =>
        {
            Conclusion::warn(
                "its last job has not succeeded: some facts may still differ after a run, or it was refused something",
                format!(
                    "kubectl logs --namespace {namespace} --selector app.kubernetes.io/component={CRON_JOB}"
                ),
            )
        }
        _ => Conclusion::pass(format!("runs at `{}`, and its policy holds it", spec.schedule)),
    }
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use serde_json::json;

    use super::super::check::Verdict;
    use super::*;

    fn found(job: &Value) -> Found {
        let settings = Settings::default();
        let scope = settings.all_collectors(&[]);
        Found {
            cron_job: Some(serde_json::from_value(job.clone()).unwrap()),
            policy: Some(policy::expire_policy(&scope, policy::expire_rules(&scope))),
            binding: Some(policy::expire_binding(&settings.installation)),
        }
    }

    fn concluded(found: &Found) -> Conclusion {
        let settings = Settings::default();
        conclude(found, &settings.all_collectors(&[]), &settings)
    }

    fn job(suspend: bool, status: &Value) -> Value {
        let spec = json!({ "schedule": "@hourly", "suspend": suspend, "jobTemplate": {} });
        json!({ "metadata": {}, "spec": spec, "status": status })
    }

    #[test]
    fn a_cron_job_is_held_and_does_its_work() {
        let (early, late) = ("2026-11-25T10:00:00Z", "2026-11-25T10:00:07Z");
        let ended = json!({ "lastScheduleTime": early, "lastSuccessfulTime": late });
        let failed = json!({ "lastScheduleTime": late, "lastSuccessfulTime": early });
        for (job, verdict, finding) in [
            (job(false, &ended), Verdict::Pass, "runs at `@hourly`, and its policy holds it"),
            (job(false, &json!({})), Verdict::Pass, "runs at `@hourly`, and its policy holds it"),
            (job(true, &ended), Verdict::Warn, "it is suspended"),
            (job(false, &failed), Verdict::Warn, "its last job has not succeeded"),
            (
                job(false, &json!({ "lastScheduleTime": late })),
                Verdict::Warn,
                "its last job has not succeeded",
            ),
            (
                job(false, &json!({ "lastScheduleTime": late, "active": [{}] })),
                Verdict::Pass,
                "runs at `@hourly`",
            ),
        ] {
            let concluded = concluded(&found(&job));
            assert_eq!(concluded.verdict(), verdict, "{concluded:?}");
            assert!(concluded.finding().starts_with(finding), "{concluded:?}");
        }
        assert_eq!(concluded(&Found::default()).verdict(), Verdict::Pass);
    }

    #[test]
    fn what_is_applied_again_keeps_the_cron_job() {
        let mut job = job(false, &json!({}));
        let parsed = |job: &Value| serde_json::from_value::<CronJob>(job.clone()).unwrap().flags();
        assert_eq!(parsed(&job), "--expire '@hourly'");
        let container = json!({ "name": "one", "args": ["expire", "--max-age=30d"] });
        job["spec"]["jobTemplate"] =
            json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        let expire = Some(parsed(&job));
        assert_eq!(expire.as_deref(), Some("--expire '@hourly' --expire-max-age 30d"));
        let settings = Settings { expire, ..Settings::default() };
        let command = settings.apply_command();
        let end = "manifests --expire '@hourly' --expire-max-age 30d | kubectl apply -f -";
        assert!(command.ends_with(end), "{command}");
    }

    #[test]
    fn one_that_nothing_holds_is_a_hole() {
        let whole = || found(&job(false, &json!({})));
        let unbound = Found { binding: None, ..whole() };
        let free = Found { policy: None, ..whole() };
        let mut wide = whole();
        let spec = wide.policy.as_mut().unwrap().spec.as_mut().unwrap();
        spec.validations.as_mut().unwrap().remove(5);
        for (found, finding) in [
            (unbound, "the ValidatingAdmissionPolicyBinding `node-annotator.expire` is missing"),
            (free, "there is no ValidatingAdmissionPolicy `node-annotator.expire`"),
            (wide, "the policy `node-annotator.expire` is not as this version generates it"),
        ] {
            let concluded = concluded(&found);
            assert_eq!(concluded.verdict(), Verdict::Fail, "{concluded:?}");
            assert!(concluded.finding().starts_with(finding), "{concluded:?}");
            assert!(
                concluded.hint().unwrap().contains("kubectl delete clusterrolebinding node-annotator.expire")
            );
        }
    }
}

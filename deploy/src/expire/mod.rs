//! What runs again what is stale, as a CronJob: in a namespace and with an account of its own, since it takes
//! labels away on all nodes, which no pod on a node may do.

mod schedule;

use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobSpec, JobTemplateSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Container, PodSpec, PodTemplateSpec, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use node_annotator_core::PrivilegeClass;

pub use self::schedule::Schedule;
use crate::installation::{EXPIRED, PRODUCT};
use crate::pod_metadata::pod_metadata;
use crate::roles::rule;
use crate::{Installation, Object, Settings, base, labels, placement, pod, token};

/// The name of the CronJob.
pub const CRON_JOB: &str = "expire";

/// Of a schedule that was missed, so long after it the job still begins.
const STARTING_DEADLINE_SECONDS: i64 = 600;

/// A job that takes longer is ended; the next one goes on.
const ACTIVE_DEADLINE_SECONDS: i64 = 1800;

/// The installation, for the names of all that is made here.
fn metadata(installation: &Installation, name: impl Into<String>) -> ObjectMeta {
    labels::metadata(installation, labels::EXPIRE, name)
}

fn in_namespace(installation: &Installation, namespace: String, name: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some(namespace), ..metadata(installation, name) }
}

fn of_expire(installation: &Installation, name: &str) -> ObjectMeta {
    in_namespace(installation, installation.expire_namespace(), name)
}

pub(crate) fn namespace(installation: &Installation) -> Object {
    let metadata = metadata(installation, installation.expire_namespace());
    base::with_pod_security(metadata, PrivilegeClass::Restricted).into()
}

pub(crate) fn service_account(installation: &Installation) -> Object {
    ServiceAccount {
        metadata: of_expire(installation, installation.service_account()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
    .into()
}

pub(crate) fn network_policy(installation: &Installation) -> Object {
    base::deny_ingress(of_expire(installation, base::DENY_INGRESS)).into()
}

/// Its rights: it lists and patches nodes, looks in our namespaces at DaemonSets and their pods, and keeps
/// its record.
pub(crate) fn roles(installation: &Installation, classes: &[PrivilegeClass]) -> Vec<Object> {
    let mut of_cluster = vec![rule("", "nodes", &["list", "patch"], &[])];
    // Where there is no namespace, no right can be granted in it: that it is not there has to be told.
    let existing: Vec<_> = classes.iter().map(|class| installation.namespace(*class)).collect();
    let missing: Vec<_> =
        installation.namespaces_of_runs().into_iter().filter(|name| !existing.contains(name)).collect();
    if !missing.is_empty() {
        let missing: Vec<_> = missing.iter().map(String::as_str).collect();
        of_cluster.push(rule("", "namespaces", &["get"], &missing));
    }
    let cluster_role = ClusterRole {
        metadata: metadata(installation, installation.expire_object()),
        rules: Some(of_cluster),
        aggregation_rule: None,
    };
    let role = |namespace, rules| Role {
        metadata: in_namespace(installation, namespace, &installation.expire_object()),
        rules: Some(rules),
    };
    let of_runs = || vec![rule("", "pods", &["list"], &[]), rule("apps", "daemonsets", &["list"], &[])];
    let of_record = vec![rule("", "configmaps", &["get", "patch"], &[EXPIRED])];
    let mut objects = vec![cluster_role.into()];
    objects.extend(existing.into_iter().map(|namespace| role(namespace, of_runs()).into()));
    objects.push(role(installation.expire_namespace(), of_record).into());
    objects
}

/// The bindings of these roles.
pub(crate) fn bindings(installation: &Installation, classes: &[PrivilegeClass]) -> Vec<Object> {
    let name = installation.expire_object();
    let subject = Subject {
        kind: "ServiceAccount".to_owned(),
        name: installation.service_account().to_owned(),
        namespace: Some(installation.expire_namespace()),
        api_group: None,
    };
    let role_ref = |kind: &str| RoleRef {
        api_group: "rbac.authorization.k8s.io".to_owned(),
        kind: kind.to_owned(),
        name: name.clone(),
    };
    let of_cluster = ClusterRoleBinding {
        metadata: metadata(installation, name.clone()),
        role_ref: role_ref("ClusterRole"),
        subjects: Some(vec![subject.clone()]),
    };
    let of_namespaces = classes.iter().map(|class| installation.namespace(*class));
    let of_namespaces = of_namespaces.chain([installation.expire_namespace()]).map(|namespace| {
        let binding = RoleBinding {
            metadata: in_namespace(installation, namespace, &name),
            role_ref: role_ref("Role"),
            subjects: Some(vec![subject.clone()]),
        };
        binding.into()
    });
    std::iter::once(of_cluster.into()).chain(of_namespaces).collect()
}

/// Takes all of it away: the rights before the policy that limits them.
pub(crate) fn removal_command(installation: &Installation) -> String {
    format!(
        "kubectl delete clusterrolebindings,rolebindings,clusterroles,roles,validatingadmissionpolicybindings,\
         validatingadmissionpolicies,namespaces --all-namespaces --selector {}={installation},{}={}",
        labels::PART_OF,
        labels::COMPONENT,
        labels::EXPIRE
    )
}

/// The record and the CronJob. The record has no data here, so that applying it again leaves what is in it.
pub(crate) fn work(settings: &Settings, schedule: &Schedule) -> Vec<Object> {
    let installation = &settings.installation;
    let record = ConfigMap { metadata: of_expire(installation, EXPIRED), ..ConfigMap::default() };
    vec![record.into(), cron_job(settings, schedule).into()]
}

fn cron_job(settings: &Settings, schedule: &Schedule) -> CronJob {
    let installation = &settings.installation;
    let recommended = labels::recommended(installation, labels::EXPIRE);
    CronJob {
        metadata: of_expire(installation, CRON_JOB),
        spec: Some(CronJobSpec {
            schedule: schedule.as_str().to_owned(),
            concurrency_policy: Some("Forbid".to_owned()),
            starting_deadline_seconds: Some(STARTING_DEADLINE_SECONDS),
            successful_jobs_history_limit: Some(1),
            failed_jobs_history_limit: Some(1),
            job_template: JobTemplateSpec {
                metadata: None,
                spec: Some(JobSpec {
                    // The next one does what this one could not.
                    backoff_limit: Some(0),
                    active_deadline_seconds: Some(ACTIVE_DEADLINE_SECONDS),
                    template: PodTemplateSpec {
                        metadata: Some(pod_metadata(settings, recommended)),
                        spec: Some(pod_spec(settings)),
                    },
                    ..JobSpec::default()
                }),
            },
            ..CronJobSpec::default()
        }),
        status: None,
    }
}

fn pod_spec(settings: &Settings) -> PodSpec {
    let installation = &settings.installation;
    let mut args = vec![CRON_JOB.to_owned(), format!("--prefix={}", settings.prefix)];
    if *installation != Installation::default() {
        args.push(format!("--namespace={installation}"));
    }
    if let Some(days) = settings.expire_max_age {
        args.push(format!("--max-age={days}d"));
    }
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        node_selector: Some(placement::node_selector_of_image(settings)),
        service_account_name: Some(installation.service_account().to_owned()),
        volumes: Some(vec![token::volume()]),
        containers: vec![Container {
            name: PRODUCT.to_owned(),
            args: Some(args),
            volume_mounts: Some(vec![token::mount()]),
            ..pod::container(settings)
        }],
        ..pod::pod(settings)
    }
}

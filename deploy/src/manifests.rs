//! All objects of an installation, in the order in which they are applied.

use k8s_openapi::api::apps::v1::DaemonSet;
use node_annotator_core::{Collector, DoneMark, PrivilegeClass};

use crate::policy::Scope;
use crate::startup_taint::OnFailure;
use crate::{
    Error, Installation, Object, PolicyMode, Queue, Settings, Workload, base, daemon_set, expire, labels,
    policy, queue,
};

/// The number of the last file before the DaemonSets.
const LAST_NUMBER: i32 = 8;

/// All objects of an installation, as files in the order in which they are applied: a right is never granted
/// before the policy that limits it.
#[derive(Debug, Clone)]
pub struct Manifests {
    pub(crate) command: String,
    files: Vec<File>,
    warnings: Vec<String>,
    prune_commands: Vec<String>,
    expire_removal: Option<String>,
}

/// Some objects that belong together.
#[derive(Debug, Clone)]
pub struct File {
    /// The file's name. Sorted by name, files stand in the order in which they are applied.
    pub name: String,
    /// What is in it and why, on one line.
    pub about: String,
    /// The objects, in order.
    pub objects: Vec<Object>,
}

impl Manifests {
    /// Everything that the settings call for, or what is wrong with them.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        settings.check()?;
        let workloads = Workload::all(settings);
        let mut files = files(settings, &workloads);
        for object in files.iter_mut().flat_map(|file| &mut file.objects) {
            object.label_version(&settings.version);
        }
        Ok(Self {
            command: settings.command.clone(),
            files,
            warnings: warnings(settings),
            prune_commands: prune_commands(settings, &workloads),
            expire_removal: settings.expire.as_ref().map(|_| expire::removal_command(&settings.installation)),
        })
    }

    /// Some files that are no installation.
    pub(crate) fn of_files(command: &str, files: Vec<File>) -> Self {
        Self {
            command: command.to_owned(),
            files,
            warnings: Vec::new(),
            prune_commands: Vec::new(),
            expire_removal: None,
        }
    }

    /// The files in the order in which they are applied.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// All objects in the order in which they are applied.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.files.iter().flat_map(|file| &file.objects)
    }

    /// The DaemonSets among the objects.
    pub fn daemon_sets(&self) -> impl Iterator<Item = &DaemonSet> {
        self.objects().filter_map(|object| match object {
            Object::DaemonSet(daemon_set) => Some(daemon_set.as_ref()),
            _ => None,
        })
    }

    /// What the operator gives up with these settings.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The commands that delete the DaemonSets of an earlier selection or layout, and no other.
    ///
    /// A changed generation, prefix or image replaces DaemonSets under their names. A smaller selection,
    /// another layout or another namespace leaves some behind, and one that is left behind with another
    /// generation fights over the done label.
    pub fn prune_commands(&self) -> &[String] {
        &self.prune_commands
    }

    /// The command that takes away what runs again what is stale, for when it is not wanted any more.
    pub fn expire_removal(&self) -> Option<&str> {
        self.expire_removal.as_deref()
    }
}

fn files(settings: &Settings, workloads: &[Workload]) -> Vec<File> {
    let installation = &settings.installation;
    let scope = Scope::new(settings);
    let classes = &scope.classes;
    let is_expiring = settings.expire.is_some();
    let each = |object: &dyn Fn(PrivilegeClass) -> Object, of_expire: fn(&Installation) -> Object| {
        let of_expire = is_expiring.then(|| of_expire(installation));
        classes.iter().map(|class| object(*class)).chain(of_expire).collect()
    };
    let mut files = vec![file(
        "01-namespaces.yaml",
        "Ours alone: the admission policy binds every service account in them.",
        each(&|class| base::namespace(installation, class).into(), expire::namespace),
    )];
    files.extend(policies(settings, &scope));
    if settings.queue == Queue::Own {
        let of_expire = is_expiring.then(|| installation.expire_namespace());
        let namespaces: Vec<_> = scope.namespaces().into_iter().chain(of_expire).collect();
        files.push(file(
            "03-flow-schema.yaml",
            "Our requests wait in a queue of their own. The priority level is that of all installations, and stays when one goes.",
            vec![
                queue::priority_level().into(),
                queue::flow_schema(installation, &namespaces).into(),
            ],
        ));
    }
    let mut roles = vec![base::cluster_role(installation).into()];
    let mut bindings = vec![base::cluster_role_binding(installation, classes).into()];
    if is_expiring {
        roles.extend(expire::roles(installation, classes));
        bindings.extend(expire::bindings(installation, classes));
    }
    files.extend([
        file(
            "04-service-accounts.yaml",
            "Their tokens are mounted in the pods of our DaemonSets, and in no other.",
            each(&|class| base::service_account(installation, class).into(), expire::service_account),
        ),
        file("05-cluster-role.yaml", "The one right that a run uses.", roles),
        file(
            "06-network-policies.yaml",
            "No pod of ours listens.",
            each(&|class| base::network_policy(installation, class).into(), expire::network_policy),
        ),
    ]);
    // By name: whoever asks for ours by its name gets it as well.
    if settings.priority_class_name() == Some(installation.cluster_object()) {
        files.push(file(
            "07-priority-class.yaml",
            "On a full node a run waits until there is room.",
            vec![base::priority_class(installation).into()],
        ));
    }
    files.push(file(
        "08-cluster-role-binding.yaml",
        "Comes as late as it can: a policy is in force up to a second after it was stored, a right at once.",
        bindings,
    ));
    if let Some(task) = settings.task.as_ref().filter(|task| !task.copies().is_empty()) {
        files.push(file("08-objects.yaml", "What the pods refer to, copied.", task.copies().to_vec()));
    }
    set_sync_waves(&mut files);
    if let Some(schedule) = &settings.expire {
        files.push(file(
            "cronjob-expire.yaml",
            &format!("Runs again what is stale: {schedule}."),
            expire::work(settings, schedule),
        ));
    }
    files.extend(workloads.iter().map(|workload| {
        let objects = vec![daemon_set::daemon_set(workload, settings).into()];
        file(&workload.file_name(), &about_daemon_set(workload, settings), objects)
    }));
    files
}

fn file(name: &str, about: &str, objects: Vec<Object>) -> File {
    File { name: name.to_owned(), about: about.to_owned(), objects }
}

/// What holds our accounts, and what acts on their requests.
fn policies(settings: &Settings, scope: &Scope) -> Vec<File> {
    let installation = &settings.installation;
    let mut files = Vec::new();
    if settings.policy == PolicyMode::Enforced {
        files.push(file(
            "02-admission-policy.yaml",
            "A pod of ours changes only the Node that it runs on, and there only what a run writes.",
            vec![policy::policy(scope, policy::rules(scope)).into(), policy::binding(installation).into()],
        ));
        if settings.expire.is_some() {
            files.push(file(
                "02-expire-policy.yaml",
                "What runs again what is stale takes done and failed labels away, and changes nothing else.",
                vec![
                    policy::expire_policy(scope, policy::expire_rules(scope)).into(),
                    policy::expire_binding(installation).into(),
                ],
            ));
        }
    }
    if let Some(taint) = &settings.startup_taint {
        files.push(file(
            "02-startup-taint.yaml",
            "The startup taint of a node goes in the write that sets its last done label.",
            vec![policy::mutating_policy(scope, taint).into(), policy::mutating_binding(installation).into()],
        ));
    }
    files
}

fn about_daemon_set(workload: &Workload, settings: &Settings) -> String {
    let is_later = |collector: &&Collector| collector.revision > 1;
    let (value, or_older) = match &settings.mark {
        DoneMark::Saved if workload.collectors().iter().any(is_later) => {
            (String::new(), ", or with that of an older revision")
        }
        DoneMark::Saved => (String::new(), ""),
        DoneMark::Generation(generation) => (format!(": {}", generation.as_str()), ""),
    };
    match workload.collectors() {
        [collector] => {
            let done = settings.prefix.done(collector.name);
            format!(
                "Runs `{}` once on every node without the label `{done}{value}`{or_older}.",
                collector.name
            )
        }
        collectors => {
            let done = settings.prefix.done("<collector>");
            let count = collectors.len();
            format!(
                "Runs {count} collectors on every node without the label `{done}{value}` of one of them{or_older}."
            )
        }
    }
}

/// Argo CD sorts by kind, and puts rights before policies, but for waves: each file is one, and the
/// DaemonSets are the last, which needs no annotation. Which it is follows from its number, and not from what
/// else there is: the priority level is shared by installations of different settings.
fn set_sync_waves(files: &mut [File]) {
    for file in files {
        let number = file.name.split('-').next().and_then(|number| number.parse::<i32>().ok());
        let wave = number.expect("what comes before the DaemonSets has a number") - LAST_NUMBER - 1;
        for object in &mut file.objects {
            let annotations = object.metadata_mut().annotations.get_or_insert_default();
            annotations.insert("argocd.argoproj.io/sync-wave".to_owned(), wave.to_string());
        }
    }
}

fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if settings.policy == PolicyMode::Omitted {
        warnings.push(
            "there is no admission policy: a token stolen from any of these pods can relabel and taint every node of the cluster"
                .to_owned(),
        );
    }
    if settings.startup_taint.as_ref().is_some_and(|taint| taint.on_failure == OnFailure::Keep) {
        warnings.push(
            "a node on which a collector is given up keeps the startup taint, and an autoscaler may start node after node that \
             fails alike: `--startup-taint-on-failure remove` lets workloads onto it without these facts"
                .to_owned(),
        );
    }
    warnings
}

fn prune_commands(settings: &Settings, workloads: &[Workload]) -> Vec<String> {
    if settings.task.is_some() {
        return Vec::new();
    }
    let command = |class| {
        let namespace = settings.installation.namespace(class);
        let part_of = format!("{}={}", labels::PART_OF, settings.installation);
        let kept: Vec<_> = workloads.iter().filter(|w| w.class() == class).map(Workload::component).collect();
        let selector = if kept.is_empty() {
            part_of
        } else {
            format!("{part_of},{} notin ({})", labels::COMPONENT, kept.join(","))
        };
        format!("kubectl delete daemonsets --namespace {namespace} --selector '{selector}'")
    };
    [PrivilegeClass::Restricted, PrivilegeClass::Privileged].map(command).into()
}

//! The pod of a task: the containers of the input below a program of ours, and ours beside them.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, EnvVar, LocalObjectReference, PodSpec, SeccompProfile, SecurityContext,
    Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use node_annotator_core::DoneMark;
use serde_json::Value;

use super::refusals::{FACTS_VARIABLE, is_sidecar};
use super::waiting::only_waits;
use super::{FOLDER, Init, Task};
use crate::affinity::affinity;
use crate::installation::PRODUCT;
use crate::{Error, Settings, Workload, placement, pod, token};

/// The container that copies our program for the others.
const COPY: &str = "node-annotator-copy";

/// The container that asks whether there is anything to do.
const CHECK: &str = "node-annotator-check";

/// What is ours in the pod, each a volume: the program, the outcomes of all steps, the files of facts. A step
/// cannot fill the node with them.
const PROGRAM: &str = "program";
const STATE: &str = "state";
const FACTS: &str = "facts";

/// The user of our containers, unless a container of the input has it: one that nobody is likely to have.
const USER: i64 = 64_198;

/// What Kubernetes has without a word about it.
const GRACE_SECONDS: i64 = 30;

/// Takes the containers out of a pod: those that start first, and those that run side by side.
pub(super) fn steps(pod: &mut PodSpec, kind: &str) -> Result<(Vec<Init>, Vec<Container>), Error> {
    let init = pod.init_containers.take().unwrap_or_default().into_iter().map(|container| {
        if is_sidecar(&container) { Init::Sidecar(container) } else { Init::Step(without_probes(container)) }
    });
    let (mut init, mut main): (Vec<_>, Vec<_>) =
        (init.collect(), std::mem::take(&mut pod.containers).into_iter().map(without_probes).collect());
    if kind == "DaemonSet" {
        main.retain(|container| !only_waits(container));
        if let Some(container) = main.first() {
            let reason = "it serves: as a container of a DaemonSet it runs for ever. Leave it in a DaemonSet of its own, or, if \
                          it ends by itself, give its pod as a Pod or Job";
            return Err(Error::refused("container", &container.name, reason));
        }
    }
    if main.is_empty() {
        // A pod has a main container at least: the last step is one as well.
        let last = init.iter().rposition(|init| matches!(init, Init::Step(_)));
        let Some(Init::Step(last)) = last.map(|last| init.remove(last)) else {
            return Err(Error::refused(
                "the pod of the",
                kind,
                "no container is left that does something and ends",
            ));
        };
        main.push(last);
    }
    let steps = init.iter().filter_map(|init| match init {
        Init::Step(container) => Some(container),
        Init::Sidecar(_) => None,
    });
    for container in steps.chain(&main) {
        if container.command.as_ref().is_none_or(Vec::is_empty) {
            let reason = "its command is in the image alone, where it cannot be seen from here; add `command` (the entrypoint \
                          and arguments that the image's documentation or `docker inspect` shows)";
            return Err(Error::refused("container", &container.name, reason));
        }
    }
    // They mean nothing in a DaemonSet, or are the API server's to fill in.
    pod.active_deadline_seconds = None;
    pod.restart_policy = None;
    pod.readiness_gates = None;
    pod.topology_spread_constraints = None;
    pod.priority = None;
    Ok((init, main))
}

/// Probes are about containers that serve, and so are ports.
fn without_probes(container: Container) -> Container {
    Container { liveness_probe: None, readiness_probe: None, startup_probe: None, ports: None, ..container }
}

/// What of a pod [`steps`] leaves out without refusing it, in words.
pub(super) fn left_out(pod: &Value, kind: &str) -> Vec<String> {
    let mut said = Vec::new();
    for (list, is_main) in [("initContainers", false), ("containers", true)] {
        for raw in pod[list].as_array().into_iter().flatten() {
            let name = raw["name"].as_str().unwrap_or_default();
            if raw["restartPolicy"] == "Always" && !is_main {
                continue;
            }
            let waits = || serde_json::from_value(raw.clone()).is_ok_and(|container| only_waits(&container));
            if is_main && kind == "DaemonSet" && waits() {
                said.push(format!("the container `{name}` is left out: it only waits"));
                continue;
            }
            let fields = ["livenessProbe", "readinessProbe", "startupProbe", "ports"];
            let found: Vec<_> = fields.into_iter().filter(|field| !raw[*field].is_null()).collect();
            if !found.is_empty() {
                let found = found.join("`, `");
                said.push(format!(
                    "`{found}` of the container `{name}` is left out: it is about one that serves"
                ));
            }
        }
    }
    let fields = ["readinessGates", "topologySpreadConstraints"];
    for field in
        fields.into_iter().filter(|field| pod[*field].as_array().is_some_and(|list| !list.is_empty()))
    {
        said.push(format!("`{field}` of the pod is left out: it has no meaning for a DaemonSet"));
    }
    for field in ["podAffinity", "podAntiAffinity"] {
        if !pod["affinity"][field]["preferredDuringSchedulingIgnoredDuringExecution"].is_null() {
            said.push(format!(
                "the preferred `{field}` of the pod is left out: a DaemonSet has a pod on every node"
            ));
        }
    }
    said
}

/// The pod of a task's DaemonSet.
pub(crate) fn daemon_set_pod(task: &Task, workload: &Workload, settings: &Settings) -> PodSpec {
    let steps = Steps::new(task);
    let user = user(task);
    let mut init = vec![copy(settings, user), publisher(task, &steps, settings, user)];
    let mut before = Vec::new();
    if let Some(check) = &task.options.check {
        let first = task.main.first().expect("a task has a main container");
        let container = Container {
            name: CHECK.to_owned(),
            command: Some(check.iter().map(|word| unexpanded(word)).collect()),
            args: None,
            ..first.clone()
        };
        init.push(step(&container, task, &["--check"], &before));
        before.push(CHECK.to_owned());
    }
    for container in &task.init {
        match container {
            Init::Sidecar(container) => init.push(container.clone()),
            Init::Step(container) => {
                init.push(step(container, task, &["--ends"], &before));
                before.push(container.name.clone());
            }
        }
    }
    let main = task.main.iter().map(|container| step(container, task, &[], &before)).collect();
    let given = task.pod.clone();
    let volumes = given.volumes.into_iter().flatten().chain(volumes());
    let ours = settings.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    let secrets: Vec<_> = given.image_pull_secrets.into_iter().flatten().chain(ours).collect();
    PodSpec {
        affinity: Some(affinity(workload, settings)),
        node_selector: Some(placement::node_selector(settings)),
        tolerations: settings.tolerations.list(settings.startup_taint.as_ref()),
        priority_class_name: settings.priority_class_name(),
        service_account_name: Some(settings.installation.service_account().to_owned()),
        // None of their containers gets a token.
        automount_service_account_token: Some(false),
        service_account: None,
        enable_service_links: given.enable_service_links.or(Some(false)),
        termination_grace_period_seconds: given.termination_grace_period_seconds.or(Some(GRACE_SECONDS)),
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        volumes: Some(volumes.collect()),
        init_containers: Some(init),
        containers: main,
        ..given
    }
}

/// The names of all steps, in the order in which they start.
struct Steps(Vec<String>);

impl Steps {
    fn new(task: &Task) -> Self {
        let check = task.options.check.as_ref().map(|_| CHECK.to_owned());
        let init = task.init.iter().filter_map(|init| match init {
            Init::Step(container) => Some(container.name.clone()),
            Init::Sidecar(_) => None,
        });
        Self(check.into_iter().chain(init).chain(task.main.iter().map(|it| it.name.clone())).collect())
    }
}

/// A user that no container of the input is said to have; `None` leaves it to the namespace.
fn user(task: &Task) -> Option<i64> {
    if task.options.is_user_of_namespace {
        return None;
    }
    let of_pod = task.pod.security_context.as_ref().and_then(|context| context.run_as_user);
    let of_containers = task.containers().filter_map(|it| it.security_context.as_ref()?.run_as_user);
    let taken: BTreeSet<i64> = of_containers.chain(of_pod).collect();
    (USER..i64::from(u32::MAX)).find(|user| !taken.contains(user))
}

/// A container of the input below our program, which keeps the outcome of its command.
fn step(container: &Container, task: &Task, mode: &[&str], before: &[String]) -> Container {
    let mut args = vec![
        "once-step".to_owned(),
        format!("--step={}", container.name),
        format!("--state={FOLDER}/{STATE}"),
        format!("--facts={FOLDER}/{FACTS}/{}", container.name),
        format!("--timeout={}s", task.timeout.as_secs()),
        format!("--tries={}", task.tries),
    ];
    args.extend(mode.iter().map(|&flag| flag.to_owned()));
    args.extend(before.iter().map(|step| format!("--after={step}")));
    args.extend(task.options.facts.names.iter().map(|fact| format!("--fact={fact}")));
    if task.options.hides_output {
        args.push("--no-output".to_owned());
    }
    args.push("--".to_owned());
    args.extend(container.command.iter().chain(&container.args).flatten().cloned());
    let mut env = container.env.clone().unwrap_or_default();
    env.push(EnvVar {
        name: FACTS_VARIABLE.to_owned(),
        value: Some(format!("{FOLDER}/{FACTS}/{}", container.name)),
        value_from: None,
    });
    let mounts = container.volume_mounts.clone().unwrap_or_default();
    let ours = [mount(PROGRAM, true), mount(STATE, false), mount(FACTS, false)];
    Container {
        command: Some(vec![format!("{FOLDER}/{PROGRAM}/{PRODUCT}")]),
        args: Some(args),
        env: Some(env),
        volume_mounts: Some(mounts.into_iter().chain(ours).collect()),
        ..container.clone()
    }
}

/// Comes first, and puts our program where the containers of other images find it.
fn copy(settings: &Settings, user: Option<i64>) -> Container {
    Container {
        name: COPY.to_owned(),
        args: Some(vec!["once-copy".to_owned(), format!("--to={FOLDER}/{PROGRAM}/{PRODUCT}")]),
        volume_mounts: Some(vec![mount(PROGRAM, false)]),
        ..ours(settings, user)
    }
}

/// Starts before the steps, so that it can tell of those that never start, and goes when they go.
fn publisher(task: &Task, steps: &Steps, settings: &Settings, user: Option<i64>) -> Container {
    let mut args = vec![
        "once-publish".to_owned(),
        format!("--task={}", task.collector.name),
        format!("--state={FOLDER}/{STATE}"),
        format!("--prefix={}", settings.prefix),
        format!("--timeout={}s", task.timeout.as_secs()),
        format!("--tries={}", task.tries),
    ];
    if let DoneMark::Generation(generation) = &settings.mark {
        args.push(format!("--generation={}", generation.as_str()));
    }
    args.extend(steps.0.iter().map(|step| format!("--step={step}")));
    args.extend(task.options.facts.names.iter().map(|fact| format!("--fact={fact}")));
    args.extend(task.options.facts.retired.iter().map(|fact| format!("--retired-fact={fact}")));
    for (flag, is_set) in [("--per-boot", task.options.is_per_boot), ("--stamp-day", settings.stamp_day)] {
        args.extend(is_set.then(|| flag.to_owned()));
    }
    Container {
        name: PRODUCT.to_owned(),
        args: Some(args),
        restart_policy: Some("Always".to_owned()),
        env: Some(vec![pod::field("NODE_NAME", "spec.nodeName")]),
        volume_mounts: Some(vec![mount(STATE, true), token_mount()]),
        ..ours(settings, user)
    }
}

/// What our containers have in common, whatever the pod says.
fn ours(settings: &Settings, user: Option<i64>) -> Container {
    let container = pod::container(settings);
    let context = container.security_context.unwrap_or_default();
    Container {
        security_context: Some(SecurityContext {
            run_as_user: user,
            run_as_group: user,
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..context
        }),
        ..container
    }
}

/// The files of facts lie in memory: a command that writes too much is told so, where on disk the kubelet
/// would take the pod away. The outcomes outlive a reboot.
fn volumes() -> [Volume; 4] {
    let folder = |name: &str, medium: Option<&str>, size: &str| Volume {
        name: volume_name(name),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: medium.map(str::to_owned),
            size_limit: Some(Quantity(size.to_owned())),
        }),
        ..Volume::default()
    };
    [
        folder(PROGRAM, None, "64Mi"),
        folder(STATE, None, "8Mi"),
        folder(FACTS, Some("Memory"), "1Mi"),
        Volume { name: volume_name("token"), ..token::volume() },
    ]
}

fn token_mount() -> VolumeMount {
    VolumeMount { name: volume_name("token"), ..token::mount() }
}

fn mount(name: &str, is_read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume_name(name),
        mount_path: format!("{FOLDER}/{name}"),
        read_only: is_read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn volume_name(name: &str) -> String {
    format!("{PRODUCT}-{name}")
}

/// The kubelet replaces `$(NAME)` in commands by a variable, and a shell means something else by it.
fn unexpanded(word: &str) -> String {
    word.replace("$(", "$$(")
}

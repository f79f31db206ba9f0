//! A task: what is run once on each node from an image of the operator, made from a manifest that they have.
//!
//! The input is a pod, in whatever kind of object. Its containers become the steps of the task: each runs
//! below a program of ours that keeps its outcome, and a container of ours publishes all outcomes together.
//! For everything around the pod a task is a collector like any other.

mod generation;
mod input;
mod level;
mod placement;
mod pod;
mod references;
mod refusals;
mod waiting;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, NodeSelectorTerm, PodSpec};
use node_annotator_core::{Collector, DoneMark, Generation, NamedFacts, PrivilegeClass, Selection, task};

pub use self::input::Input;
pub(crate) use self::pod::daemon_set_pod;
use crate::settings::{Layout, PriorityClassName};
use crate::tolerations::Tolerations;
use crate::{Error, Object, Settings};

/// How long one try of a step may take, unless the input or the operator says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);

/// How often a step is tried, unless the input or the operator says otherwise.
pub const DEFAULT_TRIES: u32 = 3;

/// Where the containers of a task find what is ours. The names of its folders are those of the volumes. Our
/// own image has its program at `/node-annotator`.
pub const FOLDER: &str = "/.node-annotator";

/// What the operator says of a task beside the input.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// What its commands may write as facts.
    pub facts: NamedFacts,
    /// A command that ends with 0 where there is nothing to do.
    pub check: Option<Vec<String>>,
    /// How often each step is tried; `None` goes by the input.
    pub tries: Option<u32>,
    /// How long a try may take; `None` goes by the input.
    pub timeout: Option<Duration>,
    /// Whether what a failed command has printed last stays off the Node.
    pub hides_output: bool,
    /// Whether the boot in which it ran is written beside the done label.
    pub is_per_boot: bool,
    /// Whether it runs only on nodes that the operator releases.
    pub is_held: bool,
    /// Whether the range of users of the namespace decides who our containers run as, as on OpenShift.
    pub is_user_of_namespace: bool,
}

/// What is run once on each node.
#[derive(Debug, Clone)]
pub struct Task {
    collector: &'static Collector,
    options: Options,
    tries: u32,
    timeout: Duration,
    class: PrivilegeClass,
    /// The pod of the input without its containers, its placement and what only the input's object can mean.
    pod: PodSpec,
    /// In the order in which they start, those that run beside others included.
    init: Vec<Init>,
    main: Vec<Container>,
    /// The terms of the input's required node affinity, one of which must hold; none asks for nothing.
    terms: Vec<NodeSelectorTerm>,
    copies: Vec<Object>,
}

/// A container that starts before the main ones.
#[derive(Debug, Clone)]
enum Init {
    /// It ends before the next one starts.
    Step(Container),
    /// It runs as long as the pod.
    Sidecar(Container),
}

impl Task {
    /// The task that an input describes, and the settings that its manifests follow from: `base` with what
    /// the input says of the nodes and of the pods.
    pub fn settings(name: &str, input: &Input, options: &Options, base: Settings) -> Result<Settings, Error> {
        let refused = |error: &dyn ToString| Error::refused("the task", name, error.to_string());
        let collector =
            task::task(name, &options.facts, options.is_per_boot).map_err(|error| refused(&error))?;
        let mut pod = input.pod()?;
        refusals::check(&pod)?;
        let copies = references::copies(&pod, input, &base.installation.of_task())?;
        let (init, main) = pod::steps(&mut pod, input.kind())?;
        let terms = placement::terms(&mut pod)?;
        let mut settings = base;
        settings.node_selector = placement::node_selector(&mut pod, settings.node_selector)?;
        if let Some(list) = pod.tolerations.take() {
            settings.tolerations = Tolerations::Some(list);
        }
        if let Some(class) = pod.priority_class_name.take() {
            settings.priority_class = PriorityClassName::Existing(class);
        }
        settings.pod_labels.extend(input.labels().clone());
        settings.pod_annotations.extend(input.annotations().clone());
        settings.installation = settings.installation.of_task();
        settings.layout = Layout::PerCollector;
        settings.selection = Selection::of(collector);
        if settings.mark == DoneMark::Saved {
            settings.mark = DoneMark::Generation(generation::of(input, options));
        }
        if options.is_held {
            let key = settings.prefix.released(name);
            settings.node_selector.insert(key, settings.mark.label_value(collector.revision));
        }
        let mut task = Self {
            collector,
            tries: options.tries.or(input.tries()).unwrap_or(DEFAULT_TRIES),
            timeout: options.timeout.or(input.timeout()).unwrap_or(DEFAULT_TIMEOUT),
            options: options.clone(),
            class: PrivilegeClass::Privileged,
            pod,
            init,
            main,
            terms,
            copies,
        };
        task.class = level::of(&task.pod, task.containers());
        if options.is_user_of_namespace && task.pod.host_pid == Some(true) {
            return Err(Error::refused(
                "the task",
                name,
                "on OpenShift our container may have the user of another one, which could look into it with `hostPID`; \
                 leave out `hostPID`, or --openshift",
            ));
        }
        settings.task = Some(Box::new(task));
        Ok(settings)
    }

    /// The Pod Security level that its pods need.
    pub fn class(&self) -> PrivilegeClass {
        self.class
    }

    /// The label that releases a node, if the task is held.
    pub fn release(&self, settings: &Settings) -> Option<(String, String)> {
        let key = settings.prefix.released(self.collector.name);
        let value = settings.node_selector.get(&key)?.clone();
        Some((key, value))
    }

    /// The objects that its pods refer to.
    pub(crate) fn copies(&self) -> &[Object] {
        &self.copies
    }

    /// The terms of the input's required node affinity.
    pub(crate) fn terms(&self) -> &[NodeSelectorTerm] {
        &self.terms
    }

    /// All containers of the input.
    fn containers(&self) -> impl Iterator<Item = &Container> + Clone {
        let init = self.init.iter().map(|init| match init {
            Init::Step(container) | Init::Sidecar(container) => container,
        });
        init.chain(&self.main)
    }
}

/// The value of the done label that an input alone calls for.
pub fn generation(input: &Input, options: &Options) -> Generation {
    generation::of(input, options)
}

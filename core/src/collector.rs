//! What a collector is: a constant description, and the function that reads the facts.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

use crate::label::NfdLabels;
use crate::{BoxFuture, CollectError, Collected, Context, Fact, Need, PrivilegeClass, Stability, Variable};

/// How long a collector may take unless it says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// One unit of fact gathering, registered with [`register!`](crate::register).
///
/// The description is all there is: help, catalogue, DaemonSet and contract test come from it.
/// [`Collector::new`] takes what each collector has to say, and the methods change what is usual:
///
/// ```
/// use node_annotator_core::{
///     Collect, CollectError, Collected, Collector, Context, Fact, Facts, Stability, Topic,
/// };
///
/// const UNITS: Fact = Fact::primary("height of the rack in units, decimal", "42", Stability::Immutable);
///
/// static RACK: Collector =
///     Collector::new("rack", Topic::Other("site"), "The rack", &[UNITS], Collect::Blocking(collect))
///         .reads(&["/sys/class/dmi/id/chassis_type"])
///         .not_applicable("where the firmware names no chassis")
///         .on_request();
///
/// fn collect(cx: &Context) -> Result<Collected, CollectError> {
///     Ok(match cx.host.line("/sys/class/dmi/id/chassis_type")? {
///         Some(units) => Facts::new(units).into(),
///         None => Collected::not_applicable("the firmware names no chassis"),
///     })
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Collector {
    /// Kebab-case name: the done label and the primary fact have it as their key.
    pub name: &'static str,
    /// What it is about, by which listings are grouped.
    pub topic: Topic,
    /// One line that says what is collected.
    pub summary: &'static str,
    /// The facts it may yield, the primary one first.
    pub facts: &'static [Fact],
    /// Names of facts that an earlier version yielded; they are deleted from the Node.
    pub retired: &'static [&'static str],
    /// Raised by one when the facts change between two releases: nodes that have older ones run it again,
    /// once.
    pub revision: u32,
    /// Where the facts come from: paths and URLs, with `*` for a part that differs. The contract holds it
    /// against what is looked at.
    pub reads: &'static [&'static str],
    /// On which nodes it is not applicable; `None` if it applies everywhere.
    pub not_applicable: Option<&'static str>,
    /// The labels of Node Feature Discovery that its facts tell too.
    pub nfd: NfdLabels,
    /// Whether an operator names facts of it, beside those declared here.
    pub takes_named_facts: bool,
    /// What it needs beyond an unprivileged pod.
    pub needs: &'static [Need],
    /// The environment variables it reads.
    pub variables: &'static [Variable],
    /// How long it may take, retries included.
    pub timeout: Duration,
    /// Whether `default` selects it.
    pub selected: Selected,
    /// The code.
    pub collect: Collect,
}

impl Collector {
    /// A collector that `default` selects, in its first revision, which needs nothing and may take 5 s.
    pub const fn new(
        name: &'static str,
        topic: Topic,
        summary: &'static str,
        facts: &'static [Fact],
        collect: Collect,
    ) -> Self {
        Self {
            name,
            topic,
            summary,
            facts,
            retired: &[],
            revision: 1,
            reads: &[],
            not_applicable: None,
            nfd: NfdLabels::NONE,
            takes_named_facts: false,
            needs: &[],
            variables: &[],
            timeout: DEFAULT_TIMEOUT,
            selected: Selected::ByDefault,
            collect,
        }
    }

    /// Names the facts that an earlier version yielded and this one does not.
    #[must_use]
    pub const fn retired(mut self, facts: &'static [&'static str]) -> Self {
        self.retired = facts;
        self
    }

    /// Sets the revision, for a collector whose facts have changed since its first release.
    #[must_use]
    pub const fn revision(mut self, revision: u32) -> Self {
        self.revision = revision;
        self
    }

    /// Names the paths and URLs that it reads, with `*` for a part that differs, as in
    /// `/sys/devices/system/cpu/cpu*/topology/core_id`.
    #[must_use]
    pub const fn reads(mut self, sources: &'static [&'static str]) -> Self {
        self.reads = sources;
        self
    }

    /// Says on which nodes it is not applicable: `on bare metal`, `where DMI names another cloud`.
    #[must_use]
    pub const fn not_applicable(mut self, nodes: &'static str) -> Self {
        self.not_applicable = Some(nodes);
        self
    }

    /// Names the labels of Node Feature Discovery that its facts tell too.
    #[must_use]
    pub const fn nfd(mut self, labels: NfdLabels) -> Self {
        self.nfd = labels;
        self
    }

    /// Lets an operator name facts of it. It declares the primary fact alone.
    #[must_use]
    pub const fn takes_named_facts(mut self) -> Self {
        self.takes_named_facts = true;
        self
    }

    /// Declares what it needs beyond an unprivileged pod; it is handed nothing else.
    #[must_use]
    pub const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    /// Declares the environment variables that it reads; it sees no others.
    #[must_use]
    pub const fn variables(mut self, variables: &'static [Variable]) -> Self {
        self.variables = variables;
        self
    }

    /// Sets how long it may take, retries included.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Leaves it out of `default`: it runs when it is named, or with `all`.
    #[must_use]
    pub const fn on_request(mut self) -> Self {
        self.selected = Selected::OnRequest;
        self
    }

    /// What the namespace must allow for it.
    pub fn privilege_class(&self) -> PrivilegeClass {
        self.needs.iter().map(Need::privilege_class).max().unwrap_or(PrivilegeClass::Restricted)
    }

    /// Whether a fact of it holds until the next boot alone: then it says which boot its facts are of.
    pub fn holds_per_boot(&self) -> bool {
        self.facts.iter().any(|fact| fact.stability == Stability::PerBoot)
    }

    /// Names of all facts but the primary one, whether it still yields them or not.
    pub fn named_facts(&self) -> impl Iterator<Item = &'static str> {
        self.facts.iter().filter_map(|fact| fact.name).chain(self.retired.iter().copied())
    }

    /// The declared fact of that name; `None` is the primary one.
    pub fn fact(&self, name: Option<&str>) -> Option<&'static Fact> {
        self.facts.iter().find(|fact| fact.name == name)
    }
}

/// The code of a collector.
///
/// Both kinds get the context alone, and reach the host through nothing else.
#[derive(Debug, Clone, Copy)]
pub enum Collect {
    /// Reads files. Runs on a thread that is not the runtime's, since a read may stall for ever (dead NFS,
    /// stuck sysfs).
    Blocking(fn(&Context) -> Result<Collected, CollectError>),
    /// Waits for HTTP or DNS. Runs on the one runtime thread: it reads files in
    /// [`HostRoot::blocking`](crate::HostRoot::blocking).
    Async(for<'a> fn(&'a Context) -> BoxFuture<'a, Result<Collected, CollectError>>),
}

/// Whether a collector is part of the `default` selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selected {
    /// Selected by `default`.
    ByDefault,
    /// Selected by its name, or by `all`.
    OnRequest,
}

impl Display for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByDefault => "by `default`",
            Self::OnRequest => "by its name, or with `all`",
        })
    }
}

/// What a collector is about. Listings, documents and reports are grouped by it, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Topic {
    /// Processors.
    Cpu,
    /// Main memory and NUMA.
    Memory,
    /// Disks and file systems.
    Storage,
    /// Network interfaces and names.
    Network,
    /// GPUs and other devices on a bus.
    Devices,
    /// Firmware, boards, and what the machine runs on.
    Machine,
    /// The running kernel.
    Kernel,
    /// The operating system around the kernel.
    System,
    /// The cloud that the machine belongs to.
    Cloud,
    /// A topic of another crate, in kebab case.
    Other(&'static str),
}

impl Topic {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Storage => "storage",
            Self::Network => "network",
            Self::Devices => "devices",
            Self::Machine => "machine",
            Self::Kernel => "kernel",
            Self::System => "system",
            Self::Cloud => "cloud",
            Self::Other(name) => name,
        }
    }
}

impl Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Topic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

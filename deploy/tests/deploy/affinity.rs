//! Where pods run, by Kubernetes' own rules, against the labels that runs really write.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, PodSpec};
use node_annotator_core::key::RESERVED_COLLECTORS;
use node_annotator_core::{
    CollectError, Collector, DoneMark, Entry, Facts, HostPath, Need, Outcome, Plan, Prefix, Report, Selection,
};
use node_annotator_deploy::{Layout, Manifests, Object, Settings, Workload};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::fakes::{MORE, leaked, named, selection};

type Labels = BTreeMap<String, String>;

/// Whether the DaemonSet controller wants a pod on a node with these labels.
fn wants_pod(daemon_set: &DaemonSet, node: &Labels) -> bool {
    let pod = pod(daemon_set);
    let selected = pod.node_selector.iter().flatten().all(|(key, value)| node.get(key) == Some(value));
    let terms = terms(daemon_set);
    selected && terms.iter().any(|term| matches(term, node))
}

fn pod(daemon_set: &DaemonSet) -> &PodSpec {
    daemon_set.spec.as_ref().unwrap().template.spec.as_ref().unwrap()
}

fn terms(daemon_set: &DaemonSet) -> &[NodeSelectorTerm] {
    let affinity = pod(daemon_set).affinity.as_ref().unwrap().node_affinity.as_ref().unwrap();
    &affinity.required_during_scheduling_ignored_during_execution.as_ref().unwrap().node_selector_terms
}

/// A term without expressions matches nothing.
fn matches(term: &NodeSelectorTerm, node: &Labels) -> bool {
    assert_eq!(term.match_fields, None, "not part of the rules below");
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    !expressions.is_empty() && expressions.iter().all(|expression| holds(expression, node))
}

fn holds(NodeSelectorRequirement { key, operator, values }: &NodeSelectorRequirement, node: &Labels) -> bool {
    let value = node.get(key);
    let listed = value.is_some_and(|value| values.iter().flatten().any(|listed| listed == value));
    match operator.as_str() {
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "In" => listed,
        "NotIn" => !listed,
        other => panic!("no operator is called {other}"),
    }
}

/// A run on a node: which collectors it had, how each ended, the mark it left, and the revision of its
/// collectors.
#[derive(Debug, Clone)]
struct Run {
    collectors: BTreeMap<&'static str, End>,
    mark: DoneMark,
    revision: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    Failed,
    GivenUp,
}

impl Run {
    fn plan(&self, all: &[&'static Collector], prefix: &Prefix) -> Plan {
        let entry = |collector: &&'static Collector| {
            let end = *self.collectors.get(collector.name)?;
            let outcome = if end != End::Done {
                Outcome::failed(&CollectError::new("no luck"))
            } else if collector.name.len().is_multiple_of(2) {
                Outcome::Collected(Facts::new("value").with(&MORE, "value"))
            } else {
                Outcome::NotApplicable("not here".to_owned())
            };
            let collector = leaked(named(collector.name).revision(self.revision));
            Some(Entry { collector, outcome, attempts: 1, duration: Duration::ZERO })
        };
        let given_up = all.iter().filter(|it| self.collectors.get(it.name) == Some(&End::GivenUp));
        let given_up = given_up.map(|it| leaked(named(it.name).revision(self.revision)));
        Plan::new(&Report::new(all.iter().filter_map(entry).collect()), prefix, &self.mark)
            .giving_up(given_up, prefix, &self.mark)
    }
}

/// What the node carries that no run wrote.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each stands for a label of its own")]
struct Traits {
    opted_out: bool,
    control_plane: bool,
    windows: bool,
    ssd: bool,
    /// Of the operator's exclusions, the one without a value and the one with it.
    burning: bool,
    rented: bool,
    virtual_node: Option<(&'static str, &'static str)>,
    architecture: &'static str,
}

/// How virtual nodes are known.
const VIRTUAL_NODES: [(&str, &str); 8] = [
    ("eks.amazonaws.com/compute-type", "fargate"),
    ("k8s.aliyun.com/vnode", "true"),
    ("liqo.io/type", "virtual-node"),
    ("node.kubernetes.io/instance-type", "eklet"),
    ("type", "kwok"),
    ("type", "virtual-kubelet"),
    ("virtual-node.interlink/type", "virtual-kubelet"),
    ("virtualization", "virtualnode2"),
];

impl Traits {
    fn labels(&self, prefix: &Prefix) -> Labels {
        let os = if self.windows { "windows" } else { "linux" };
        let mut labels = BTreeMap::from([("kubernetes.io/os".to_owned(), os.to_owned())]);
        let mut set = |condition: bool, key: &str, value: &str| {
            if condition {
                labels.insert(key.to_owned(), value.to_owned());
            }
        };
        set(self.opted_out, &prefix.opt_out(), "");
        set(self.control_plane, "node-role.kubernetes.io/control-plane", "");
        // The same keys on nodes that are none of it.
        set(true, "type", "bare-metal");
        set(true, "node.kubernetes.io/instance-type", "m5.large");
        set(true, "eks.amazonaws.com/compute-type", "ec2");
        if let Some((key, value)) = self.virtual_node {
            set(true, key, value);
        }
        set(self.ssd, "example.com/disk", "ssd");
        set(self.burning, "example.com/burning", "brightly");
        set(true, "example.com/owner", if self.rented { "others" } else { "us" });
        set(true, "kubernetes.io/arch", self.architecture);
        labels
    }

    fn excluded(&self, settings: &Settings) -> bool {
        let excluded = |label: &str| settings.exclusions.iter().any(|it| it.to_string() == label);
        let architectures = &settings.architectures;
        self.opted_out
            || self.virtual_node.is_some()
            || self.windows
            || (self.burning && excluded("example.com/burning"))
            || (self.rented && excluded("example.com/owner=others"))
            || (!architectures.is_empty() && architectures.iter().all(|it| it.as_str() != self.architecture))
            || (self.control_plane && settings.exclude_control_plane)
            || (!self.ssd && !settings.node_selector.is_empty())
    }
}

fn traits() -> impl Strategy<Value = Traits> {
    // Each is rare, so that most nodes are none of it.
    let virtual_node = prop::option::weighted(0.1, select(VIRTUAL_NODES.to_vec()));
    let architecture = select(vec!["amd64", "arm64", "s390x"]);
    (vec(prop::bool::weighted(0.1), 6), virtual_node, architecture).prop_map(
        |(rare, virtual_node, architecture)| Traits {
            opted_out: rare[0],
            control_plane: rare[1],
            windows: rare[2],
            ssd: !rare[3],
            burning: rare[4],
            rented: rare[5],
            virtual_node,
            architecture,
        },
    )
}

fn mark() -> impl Strategy<Value = DoneMark> {
    select(vec!["", "", "1", "2", "on", "0777", "1e3"]).prop_map(|generation| match generation {
        "" => DoneMark::Saved,
        generation => DoneMark::Generation(generation.parse().unwrap()),
    })
}

const REVISIONS: std::ops::Range<u32> = 1..5;

fn collectors() -> impl Strategy<Value = Vec<&'static Collector>> {
    const FSTAB: &[Need] = &[Need::HostPath(HostPath::file("/etc/fstab"))];
    let needs: Vec<&'static [Need]> =
        vec![&[], &[Need::Dns], &[Need::MetadataService], &[Need::HostNetwork], FSTAB];
    btree_map("[a-z]([a-z0-9]{0,8}-)?[a-z0-9]{1,8}", (select(needs), REVISIONS), 1..6).prop_filter_map(
        "reserved",
        |collectors| {
            let is_reserved = |name: &str| name == "combined" || RESERVED_COLLECTORS.contains(&name);
            let new = |(name, (needs, revision)): (String, _)| {
                leaked(named(name.leak()).needs(needs).revision(revision))
            };
            let fine = !collectors.keys().any(|name| is_reserved(name));
            fine.then(|| collectors.into_iter().map(new).collect())
        },
    )
}

fn prefix() -> impl Strategy<Value = Prefix> {
    "[a-z]{1,8}(\\.[a-z0-9]{1,8}){0,3}".prop_map(|text| text.parse().unwrap())
}

/// Settings for some of the collectors, runs of any of them, and a node.
fn case() -> impl Strategy<Value = (Vec<&'static Collector>, Settings, Vec<Run>, Traits)> {
    (collectors(), prefix()).prop_flat_map(|(all, prefix)| {
        let names: Vec<&'static str> = all.iter().map(|collector| collector.name).collect();
        let ends = vec(select(vec![End::Done, End::Done, End::Failed, End::GivenUp]), all.len());
        let ran = (subsequence(names, 0..=all.len()), ends);
        let run = (ran, mark(), REVISIONS).prop_map(|((ran, ends), mark, revision)| Run {
            collectors: ran.into_iter().zip(ends).collect(),
            mark,
            revision,
        });
        let settings = (
            subsequence(all.clone(), 1..=all.len()),
            mark(),
            select(vec![Layout::PerCollector, Layout::Combined]),
            any::<[bool; 3]>(),
            subsequence(vec!["amd64", "arm64"], 0..=2),
            subsequence(vec!["example.com/burning", "example.com/owner=others", "type=none"], 0..=3),
        )
            .prop_map(
                move |(selected, mark, layout, [control_plane, host_network, ssd], arch, exclude)| Settings {
                    prefix: prefix.clone(),
                    mark,
                    layout,
                    exclude_control_plane: control_plane,
                    architectures: arch.iter().map(|name| name.parse().unwrap()).collect(),
                    exclusions: exclude.iter().map(|text| text.parse().unwrap()).collect(),
                    host_network,
                    node_selector: ssd
                        .then(|| ("example.com/disk".to_owned(), "ssd".to_owned()))
                        .into_iter()
                        .collect(),
                    ..Settings::new(selection(&selected))
                },
            );
        (Just(all), settings, vec(run, 0..4), traits())
    })
}

/// Whether the last success of a collector, if there was one, counts under the settings' mark.
fn is_done(collector: &Collector, runs: &[Run], mark: &DoneMark) -> bool {
    let success = |run: &&Run| run.collectors.get(collector.name) == Some(&End::Done);
    match (runs.iter().rfind(success), mark) {
        (None, _) => false,
        // Of an older revision, and of no generation. What a later revision or any generation has left
        // counts.
        (Some(run), DoneMark::Saved) => run.mark != DoneMark::Saved || run.revision >= collector.revision,
        (Some(run), generation) => run.mark == *generation && run.revision == collector.revision,
    }
}

/// Whether a collector was given up under the settings' mark, with neither a success nor another mark since.
fn is_given_up(collector: &Collector, runs: &[Run], mark: &DoneMark) -> bool {
    let last = runs.iter().rev().find_map(|run| match run.collectors.get(collector.name)? {
        End::Failed => None,
        end => Some((*end, run.mark.label_value(run.revision))),
    });
    last == Some((End::GivenUp, mark.label_value(collector.revision)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn pods_run_exactly_where_a_collector_is_missing((all, settings, runs, traits) in case()) {
        let mut node = traits.labels(&settings.prefix);
        for run in &runs {
            for (key, value) in run.plan(&all, &settings.prefix).labels() {
                match value {
                    Some(value) => node.insert(key.clone(), value.clone()),
                    None => node.remove(key),
                };
            }
        }
        let manifests = Manifests::new(&settings).unwrap();
        let workloads = Workload::all(&settings);
        prop_assert_eq!(manifests.daemon_sets().count(), workloads.len());
        for (daemon_set, workload) in manifests.daemon_sets().zip(&workloads) {
            let missing = workload
                .collectors()
                .iter()
                .any(|collector| {
                    !is_done(collector, &runs, &settings.mark) && !is_given_up(collector, &runs, &settings.mark)
                });
            prop_assert_eq!(
                wants_pod(daemon_set, &node),
                missing && !traits.excluded(&settings),
                "{} on {:?}", workload.name(), node
            );
        }
    }

    #[test]
    fn every_collector_is_in_one_daemon_set((_, settings, _, _) in case()) {
        let of_workloads: Vec<&str> = Workload::all(&settings)
            .iter()
            .flat_map(|workload| workload.collectors().iter().map(|collector| collector.name))
            .collect();
        let selected: BTreeSet<&str> = settings.selection.iter().map(|collector| collector.name).collect();
        prop_assert_eq!(of_workloads.len(), selected.len());
        prop_assert_eq!(of_workloads.into_iter().collect::<BTreeSet<_>>(), selected);
    }

    #[test]
    fn no_two_objects_are_one((_, settings, _, _) in case()) {
        let manifests = Manifests::new(&settings).unwrap();
        let mut seen = BTreeSet::new();
        for object in manifests.objects() {
            let metadata = object.metadata();
            prop_assert!(seen.insert((object.kind(), &metadata.namespace, &metadata.name)));
        }
    }

    #[test]
    fn what_is_written_or_waited_for_is_allowed((_, settings, runs, _) in case()) {
        let manifests = Manifests::new(&settings).unwrap();
        let policy = manifests
            .objects()
            .find_map(|object| match object {
                Object::ValidatingAdmissionPolicy(policy) => policy.spec.as_ref(),
                _ => None,
            })
            .unwrap();
        let listed = |name: &str| -> Vec<String> {
            let variable = policy.variables.iter().flatten().find(|variable| variable.name == name).unwrap();
            let keys = variable.expression.split('\'').skip(1).step_by(2);
            keys.filter(|key| key.contains('/')).map(str::to_owned).collect()
        };
        let (labels, annotations) = (listed("labels"), listed("annotations"));

        let selected: Vec<_> = settings.selection.iter().collect();
        for run in &runs {
            let plan = run.plan(&selected, &settings.prefix);
            for key in plan.labels().keys() {
                prop_assert!(labels.contains(key), "{} is written and not allowed", key);
            }
            for key in plan.annotations().keys() {
                prop_assert!(annotations.contains(key), "{} is written and not allowed", key);
            }
        }
        for daemon_set in manifests.daemon_sets() {
            for term in terms(daemon_set) {
                for waited_for in &term.match_expressions.as_ref().unwrap()[..2] {
                    prop_assert!(labels.contains(&waited_for.key), "{} is not allowed", waited_for.key);
                }
            }
            let args = pod(daemon_set).containers[0].args.as_ref().unwrap();
            let prefix = format!("--prefix={}", settings.prefix);
            prop_assert!(args.contains(&prefix), "{:?}", args);
        }
    }
}

#[test]
fn a_collector_has_a_term_and_from_the_second_revision_on_another_for_the_older_ones() {
    let done = |collector: Collector, mark: DoneMark| -> Vec<_> {
        let manifests =
            Manifests::new(&Settings { mark, ..Settings::new(Selection::of(leaked(collector))) }).unwrap();
        let daemon_set = manifests.daemon_sets().next().unwrap();
        let first = |term: &NodeSelectorTerm| {
            let NodeSelectorRequirement { key, operator, values } =
                &term.match_expressions.as_ref().unwrap()[0];
            assert_eq!(key, "k8s.haim.dev/kernel");
            format!("{operator} {}", values.iter().flatten().cloned().collect::<Vec<_>>().join(","))
        };
        terms(daemon_set).iter().map(first).collect()
    };
    let generation = || DoneMark::Generation("2".parse().unwrap());
    assert_eq!(done(named("kernel"), DoneMark::Saved), ["DoesNotExist "]);
    assert_eq!(done(named("kernel"), generation()), ["NotIn 2"]);
    let third = || named("kernel").revision(3);
    assert_eq!(done(third(), DoneMark::Saved), ["DoesNotExist ", "In saved,saved.r2"]);
    assert_eq!(done(third(), generation()), ["NotIn 2.r3"]);
}

#[test]
fn each_key_stands_once_in_a_term() {
    let mut settings = Settings::new(Selection::of(&crate::fakes::KERNEL));
    settings.exclusions = ["type=a", "example.com/pool=b", "example.com/pool", "type=a"]
        .map(|text| text.parse().unwrap())
        .into();
    let manifests = Manifests::new(&settings).unwrap();
    let [term] = terms(manifests.daemon_sets().next().unwrap()) else { panic!("one term") };
    let expressions = term.match_expressions.as_deref().unwrap();
    let of = |key: &str| {
        let found: Vec<_> = expressions.iter().filter(|it| it.key == key).collect();
        let [found] = found[..] else { panic!("{key}: {found:?}") };
        (found.operator.as_str(), found.values.clone().unwrap_or_default())
    };
    assert_eq!(of("type"), ("NotIn", ["a", "kwok", "virtual-kubelet"].map(str::to_owned).into()));
    assert_eq!(of("example.com/pool"), ("DoesNotExist", vec![]));
}

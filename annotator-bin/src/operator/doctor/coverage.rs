//! Whether the policy lets through what the DaemonSets write.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use clap::Command;
use clap::builder::{BoolishValueParser, TypedValueParser as _};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use node_annotator_core::registry::RegistryError;
use node_annotator_core::{
    Collector, DoneMark, Generation, LabelFacts, NamedFacts, Prefix, Registry, Selection, task,
};
use node_annotator_deploy::policy::{Keys, Scope};

use super::Settings;
use super::check::Conclusion;
use crate::operator::fleet::placement;

/// What the runs of a DaemonSet write.
struct Writer<'a> {
    namespace: &'a str,
    name: &'a str,
    created: Option<Timestamp>,
    collectors: Vec<&'static Collector>,
    prefix: Prefix,
    mark: DoneMark,
    stamp_day: bool,
    labels: LabelFacts,
    /// What it sets the labels of its collectors to, by its affinity: another version has other revisions.
    values: BTreeMap<&'static str, &'a str>,
}

/// Holds the DaemonSets of our namespaces against what the policy lists.
pub(super) fn conclude(
    sets: &[&DaemonSet],
    allowed: &Keys,
    scope: &Scope,
    settings: &Settings,
) -> Conclusion {
    let mut writers = Vec::new();
    for set in sets {
        match Writer::new(set) {
            Ok(writer) => writers.extend(writer),
            Err(trouble) => {
                return Conclusion::warn(
                    trouble,
                    "run the doctor of the program that the DaemonSet runs, and look at its `args`",
                );
            }
        }
    }
    let refused: Vec<_> =
        writers.iter().filter_map(|writer| Some((writer, writer.refused(allowed)?))).collect();
    let Some((newest, _)) = refused.iter().max_by_key(|(writer, _)| writer.created) else {
        return Conclusion::pass(format!("all that {} DaemonSets write", writers.len()));
    };
    let findings: Vec<_> = refused
        .iter()
        .map(|(Writer { namespace, name, .. }, key)| format!("`{namespace}/{name}` ({key})"))
        .collect();
    let mut collectors: Vec<_> =
        writers.iter().flat_map(|writer| &writer.collectors).chain(&scope.collectors).copied().collect();
    collectors.sort_by_key(|collector| collector.name);
    collectors.dedup_by_key(|collector| collector.name);
    let cover = if newest.prefix == scope.prefix {
        let (mark, stamp_day) = (newest.mark.clone(), newest.stamp_day);
        let labels = writers.iter().fold(scope.labels.clone(), |all, writer| all.union(&writer.labels));
        settings.manifests_command(Some(&Scope { collectors, mark, stamp_day, labels, ..scope.clone() }))
    } else {
        format!(
            "a prefix of its own needs a namespace of its own: {} manifests --namespace NAME --prefix {}",
            settings.app.name, newest.prefix
        )
    };
    Conclusion::fail(
        format!("the policy refuses what these write: {}", findings.join(", ")),
        format!(
            "print both in one call, with the other flags as before: {cover}; or give the DaemonSet up: kubectl delete daemonset \
             --namespace {} {}",
            newest.namespace, newest.name
        ),
    )
}

impl<'a> Writer<'a> {
    /// Nothing for a DaemonSet that does not run us.
    fn new(set: &'a DaemonSet) -> Result<Option<Self>, String> {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let spec = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        // That of a task starts before the containers of its input.
        let init = spec.iter().flat_map(|pod| pod.init_containers.iter().flatten());
        let mut containers = spec.iter().flat_map(|pod| &pod.containers).chain(init);
        // The container has the name of the account: that of the product.
        let product = Settings::default().installation.service_account();
        let Some(container) = containers.find(|container| container.name == product) else {
            return Ok(None);
        };
        let unreadable = |error: &dyn std::error::Error| format!("cannot tell what `{name}` writes: {error}");
        let registry = Registry::from_inventory().map_err(|error| unreadable(&error))?;
        let selection = if let Some(name) = option(container, "task") {
            Selection::of(task(name, container).map_err(|error| unreadable(&error))?)
        } else {
            let list = option(container, "collectors").unwrap_or("default");
            Selection::parse(list, &registry).map_err(|error| unreadable(&error))?
        };
        let prefix = option(container, "prefix").map(str::parse::<Prefix>).transpose();
        let prefix = prefix.map_err(|error| unreadable(&error))?.unwrap_or_default();
        let collectors: Vec<_> = selection.iter().collect();
        let labels = option(container, "labels").unwrap_or_default().split(',');
        let labels = LabelFacts::parse(labels, &collectors).map_err(|error| unreadable(&error))?;
        let generation = option(container, "generation").map(str::parse::<Generation>).transpose();
        Ok(Some(Self {
            namespace: set.metadata.namespace.as_deref().unwrap_or_default(),
            name,
            created: set.metadata.creation_timestamp.as_ref().map(|time| time.0),
            values: selection
                .iter()
                .filter_map(|collector| Some((collector.name, value(spec?, &prefix.failed(collector.name))?)))
                .collect(),
            collectors,
            prefix,
            mark: generation
                .map_err(|error| unreadable(&error))?
                .map_or(DoneMark::Saved, DoneMark::Generation),
            stamp_day: is_set(container, "stamp-day"),
            labels,
        }))
    }

    /// The first key that it writes and may not.
    fn refused(&self, allowed: &Keys) -> Option<String> {
        self.collectors.iter().find_map(|collector| {
            let keys = Keys::new(&[*collector], &self.prefix, &self.mark, self.stamp_day, &self.labels);
            let told = self.values.get(collector.name);
            let refused = keys.labels.iter().find_map(|(key, value)| {
                let value = told.map_or(value.as_str(), |told| *told);
                (allowed.labels.get(key).map(String::as_str) != Some(value))
                    .then(|| format!("label `{key}={value}`"))
            });
            let refused = refused.or_else(|| {
                let key = keys.fact_labels.difference(&allowed.fact_labels).next()?;
                Some(format!("label `{key}`"))
            });
            if refused.is_some()
                || told.is_some_and(|told| *told != self.mark.label_value(collector.revision))
            {
                // Which facts another revision writes is not known here.
                return refused;
            }
            // What may only be deleted is `None`, which is less than any length.
            let mut annotations = keys.annotations.iter();
            let longer = annotations
                .find(|(key, bytes)| allowed.annotations.get(*key).is_none_or(|allowed| *bytes > allowed));
            longer.map(|(key, _)| format!("annotation `{key}`"))
        })
    }
}

/// What stands for the task that a container publishes.
fn task(name: &str, container: &Container) -> Result<&'static Collector, RegistryError> {
    let all = |flag: &str| {
        let args = container.args.iter().flatten();
        args.filter_map(|arg| arg.strip_prefix(flag)).map(str::to_owned).collect()
    };
    let named = NamedFacts { names: all("--fact="), retired: all("--retired-fact="), path: None };
    task::task(name, &named, is_set(container, "per-boot"))
}

/// What a pod sets a failed label to, and the done label with it: a node that has it is left alone.
fn value<'a>(pod: &'a PodSpec, failed: &str) -> Option<&'a str> {
    let mut requirements = placement::terms(pod).flatten();
    let given_up = requirements.find(|it| it.key == failed && it.operator == "NotIn")?;
    given_up.values.as_ref()?.first().map(String::as_str)
}

/// Whether a flag of the container is there, or its variable is set to anything that is no way to say no.
fn is_set(container: &Container, name: &str) -> bool {
    let given = container.args.iter().flatten().any(|arg| *arg == format!("--{name}"));
    let says = |value: &str| {
        BoolishValueParser::new().parse_ref(&Command::default(), None, OsStr::new(value.trim())).ok()
    };
    given || option(container, name).is_some_and(|value| says(value) != Some(false))
}

/// An option of the container, by its arguments, else by its variables.
fn option<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    let flag = format!("--{name}");
    let args = container.args.as_deref().unwrap_or_default();
    let given = args.iter().enumerate().find_map(|(index, arg)| match arg.strip_prefix(&flag)? {
        "" => args.get(index + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    });
    let variable = format!("NODE_ANNOTATOR_{}", name.to_uppercase().replace('-', "_"));
    let mut variables = container.env.iter().flatten();
    given.or_else(|| {
        let found = variables.find(|other| other.name == variable);
        found.and_then(|found| found.value.as_deref()).filter(|value| !value.trim().is_empty())
    })
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use node_annotator_deploy::policy;
    use serde_json::json;

    use super::super::check::Verdict;
    use super::*;

    fn set(name: &str, args: &[&str]) -> DaemonSet {
        let container = json!({ "name": "node-annotator", "args": args });
        serde_json::from_value(json!({
            "metadata": { "namespace": "node-annotator", "name": name },
            "spec": { "template": { "spec": { "containers": [container] } } },
        }))
        .unwrap()
    }

    /// For a policy of one collector.
    fn concluded(sets: &[DaemonSet]) -> Conclusion {
        concluded_by(&Scope { collectors: vec![virt()], ..Settings::default().all_collectors(&[]) }, sets)
    }

    fn concluded_by(of_policy: &Scope, sets: &[DaemonSet]) -> Conclusion {
        let settings = Settings::default();
        let allowed = Keys::listed(&policy::policy(of_policy, policy::rules(of_policy))).unwrap();
        let scope = Scope { collectors: vec![virt()], ..of_policy.clone() };
        conclude(&sets.iter().collect::<Vec<_>>(), &allowed, &scope, &settings)
    }

    fn virt() -> &'static Collector {
        Registry::from_inventory().unwrap().iter().find(|collector| collector.name == "virt").unwrap()
    }

    #[test]
    fn what_a_task_writes_is_held_against_its_policy() {
        let container = |args: &[&str]| json!({ "name": "node-annotator", "args": args });
        let set = |args: &[&str]| -> DaemonSet {
            let pod = json!({ "containers": [], "initContainers": [container(args)] });
            let set = json!({"metadata": {"name": "s"}, "spec": {"selector": {}, "template": {"spec": pod}}});
            serde_json::from_value(set).unwrap()
        };
        let named = NamedFacts { names: vec!["size".to_owned()], ..NamedFacts::default() };
        let collector = task::task("tune", &named, false).unwrap();
        let mark = DoneMark::Generation("h1".parse().unwrap());
        let mut scope = Settings::default().all_collectors(&[]);
        (scope.collectors, scope.mark) = (vec![collector], mark);
        let verdict =
            |args: &[&str]| conclude(&[&set(args)], &scope.keys(), &scope, &Settings::default()).verdict();
        assert_eq!(
            verdict(&["once-publish", "--task=tune", "--generation=h1", "--fact=size"]),
            Verdict::Pass
        );
        assert_eq!(verdict(&["once-publish", "--task=tune", "--generation=h2"]), Verdict::Fail);
        assert_eq!(verdict(&["once-publish", "--task=tune", "--generation=h1", "--fact=x"]), Verdict::Fail);
    }

    #[test]
    fn what_the_policy_allows_passes() {
        let others: DaemonSet = serde_json::from_value(json!({
            "metadata": { "name": "cni" },
            "spec": { "template": { "spec": { "containers": [{ "name": "cni" }] } } },
        }))
        .unwrap();
        let passed = concluded(&[set("a", &["--collectors=virt", "--linger"]), others]);
        assert_eq!((passed.verdict(), passed.finding()), (Verdict::Pass, "all that 1 DaemonSets write"));
        assert_eq!(concluded(&[set("a", &["run", "--collectors", "virt"])]).verdict(), Verdict::Pass);
    }

    #[test]
    fn collectors_generations_and_prefixes_that_are_not_covered_are_named_with_the_command() {
        for (args, key, command) in [
            (
                ["--collectors=cpu-model", "--linger"],
                "label `k8s.haim.dev/cpu-model=saved`",
                "node-annotator manifests --collectors cpu-model,virt | kubectl apply -f -",
            ),
            (
                ["--collectors=virt", "--generation=2"],
                "label `k8s.haim.dev/virt=2`",
                "node-annotator manifests --collectors virt --generation 2 | kubectl apply -f -",
            ),
            (
                ["--collectors=virt", "--labels=virt"],
                "label `k8s.haim.dev/virt.value`",
                "node-annotator manifests --collectors virt --labels virt | kubectl apply -f -",
            ),
            (
                ["--collectors=virt", "--prefix=example.com"],
                "label `example.com/virt=saved`",
                "node-annotator manifests --namespace NAME --prefix example.com",
            ),
        ] {
            let failed = concluded(&[set("a", &args)]);
            assert_eq!(failed.verdict(), Verdict::Fail);
            assert_eq!(
                failed.finding(),
                format!("the policy refuses what these write: `node-annotator/a` ({key})")
            );
            assert!(failed.hint().unwrap().contains(command), "{failed:?}");
        }
    }

    #[test]
    fn a_collector_of_another_program_is_a_warning() {
        let warned = concluded(&[set("a", &["--collectors=no-such-one"])]);
        assert_eq!(warned.verdict(), Verdict::Warn);
        assert!(warned.finding().starts_with("cannot tell what `a` writes: "), "{warned:?}");
    }

    /// A newer version has the second revision of `virt`, with other facts.
    #[test]
    fn what_another_version_writes_is_told_by_its_affinity_and_by_what_the_policy_lists() {
        let Collector { name, topic, summary, facts, collect, .. } = *virt();
        let newer = Collector::new(name, topic, summary, &facts[..1], collect).revision(2);
        let newer = Box::leak(Box::new(newer));
        let of_virt = Scope { collectors: vec![virt()], ..Settings::default().all_collectors(&[]) };
        let of_newer = Scope { collectors: vec![newer], ..of_virt.clone() };
        let with = |value: &str| {
            let mut set = set("a", &["--collectors=virt"]);
            let expressions = json!([
                { "key": "k8s.haim.dev/virt", "operator": "DoesNotExist" },
                { "key": "k8s.haim.dev/virt.failed", "operator": "NotIn", "values": [value] },
            ]);
            let terms = json!([{ "matchExpressions": expressions }]);
            let required =
                json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } });
            let affinity = serde_json::from_value(json!({ "nodeAffinity": required })).unwrap();
            set.spec.as_mut().unwrap().template.spec.as_mut().unwrap().affinity = Some(affinity);
            set
        };
        for (policy, value, refused) in [
            (&of_virt, "saved", false),
            (&of_virt, "saved.r2", true),
            (&of_newer, "saved", true),
            (&of_newer, "saved.r2", false),
        ] {
            let concluded = concluded_by(policy, &[with(value)]);
            assert_eq!(
                concluded.verdict(),
                if refused { Verdict::Fail } else { Verdict::Pass },
                "{concluded:?}"
            );
            if refused {
                let named = format!("`node-annotator/a` (label `k8s.haim.dev/virt={value}`)");
                assert!(concluded.finding().ends_with(&named), "{concluded:?}");
            }
        }
    }

    #[test]
    fn variables_count_where_no_argument_does() {
        let mut container: Container = serde_json::from_value(json!({
            "name": "node-annotator",
            "env": [{ "name": "NODE_ANNOTATOR_GENERATION", "value": "7" }, { "name": "NODE_NAME" }],
        }))
        .unwrap();
        assert_eq!(option(&container, "generation"), Some("7"));
        assert_eq!(option(&container, "collectors"), None);
        container.args = Some(vec!["--generation=8".to_owned()]);
        assert_eq!(option(&container, "generation"), Some("8"));
    }
}

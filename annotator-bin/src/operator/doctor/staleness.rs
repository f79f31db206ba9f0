//! Whether the facts on the Nodes are of the boot and of the machine that the Nodes are.

use std::collections::BTreeSet;

use node_annotator_core::Collector;
use node_annotator_deploy::policy::Scope;

use super::check::Conclusion;
use crate::operator::fleet::age;
use crate::operator::fleet::node::Node;

/// How many nodes are named.
const NAMED: usize = 5;

/// Holds what the Nodes carry against what Kubernetes knows of them. What does not tell is unknown, and never
/// stale.
pub(super) fn conclude(nodes: &[Node], scope: &Scope) -> Conclusion {
    let stale: Vec<_> = nodes.iter().filter_map(|node| Stale::find(node, scope)).collect();
    if stale.is_empty() {
        return Conclusion::pass("no node is known to have facts of another boot or machine");
    }
    let named = &stale[..stale.len().min(NAMED)];
    let mut findings: Vec<_> = named.iter().map(Stale::told).collect();
    if stale.len() > named.len() {
        findings.push(format!("and {} more nodes", stale.len() - named.len()));
    }
    let nodes: Vec<_> = named.iter().map(|stale| stale.node).collect();
    let labels: BTreeSet<_> = named
        .iter()
        .flat_map(|stale| &stale.collectors)
        .map(|(collector, _)| format!("{}-", scope.prefix.done(collector.name)))
        .collect();
    let labels: Vec<_> = labels.into_iter().collect();
    Conclusion::warn(
        format!("facts of another boot or machine on {} nodes: {}", stale.len(), findings.join("; ")),
        format!("run them again: kubectl label nodes {} {}", nodes.join(" "), labels.join(" ")),
    )
}

/// A node with facts that are not its own any more.
struct Stale<'a> {
    node: &'a str,
    collectors: Vec<(&'static Collector, String)>,
}

impl<'a> Stale<'a> {
    fn find(node: &'a Node, scope: &Scope) -> Option<Self> {
        let found = |collector: &&'static Collector| Some((*collector, why(node, collector, scope)?));
        let collectors: Vec<_> = scope.collectors.iter().filter_map(found).collect();
        (!collectors.is_empty()).then(|| Self { node: node.name(), collectors })
    }

    fn told(&self) -> String {
        let told = self.collectors.iter().map(|(collector, why)| format!("{}: {why}", collector.name));
        format!("`{}` ({})", self.node, told.collect::<Vec<_>>().join(", "))
    }
}

/// Why the facts of a collector are not the node's; nothing where it runs again anyway.
fn why(node: &Node, collector: &Collector, Scope { prefix, mark, .. }: &Scope) -> Option<String> {
    let done = node.label(&prefix.done(collector.name))?;
    if !mark.is_done(done, collector.revision) {
        return None;
    }
    age::why(node, collector.name, Some(collector), prefix)
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use node_annotator_core::{DoneMark, Registry};
    use serde_json::{Value, json};

    use super::super::Settings;
    use super::super::check::Verdict;
    use super::*;

    const BOOT_ID: &str = "1bd2a6f4-8f0e-4a7b-9d53-0c2b6f1e7a90";

    /// The done label of a collector, in the revision that it has.
    fn marked(collector: &str, mark: &DoneMark) -> String {
        mark.label_value(Registry::from_inventory().unwrap().find(collector).unwrap().revision)
    }

    /// A node on which `kernel` and `digital-ocean` are done.
    fn node(annotations: &[(&str, &str)], boot_id: &str, provider_id: &str) -> Node {
        let annotations =
            annotations.iter().map(|(key, value)| (format!("k8s.haim.dev/{key}"), json!(value)));
        let info = json!({
            "bootID": boot_id, "kernelVersion": "6.8.0-45-generic", "architecture": "", "containerRuntimeVersion": "",
            "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": "",
        });
        serde_json::from_value(json!({
            "metadata": {
                "name": "n1",
                "annotations": annotations.collect::<serde_json::Map<String, Value>>(),
                "labels": { "k8s.haim.dev/kernel": marked("kernel", &DoneMark::Saved), "k8s.haim.dev/digital-ocean": marked("digital-ocean", &DoneMark::Saved) },
            },
            "spec": { "providerID": provider_id },
            "status": { "nodeInfo": info },
        }))
        .unwrap()
    }

    fn concluded(nodes: &[Node]) -> Conclusion {
        conclude(nodes, &Settings::default().all_collectors(&[]))
    }

    #[test]
    fn facts_of_this_boot_and_machine_and_those_that_do_not_tell_pass() {
        let told = [("kernel", "6.8.0-45-generic"), ("kernel.boot-id", "1bd2a6f4"), ("digital-ocean", "42")];
        for (annotations, boot_id, provider_id) in [
            (&told[..], BOOT_ID, "digitalocean://42"),
            // An older version, or the seed of this project.
            (&told[2..], BOOT_ID, ""),
            // Nodes of another provider of providerIDs, and of none; a kubelet that does not know.
            (&told, "", "k3s://n1"),
            (&told, "unknown", "digitalocean://"),
        ] {
            let passed = concluded(&[node(annotations, boot_id, provider_id)]);
            assert_eq!(passed.verdict(), Verdict::Pass, "{passed:?}");
        }
    }

    #[test]
    fn facts_of_another_boot_kernel_or_machine_are_named_with_the_command() {
        let run = "run them again: kubectl label nodes n1 k8s.haim.dev/";
        for (annotation, why, label) in [
            (("kernel.boot-id", "2cd2a6f4"), "kernel: another boot", "kernel-"),
            (("kernel", "6.1.0"), "kernel: the kernel was `6.1.0` and is `6.8.0-45-generic`", "kernel-"),
            (("digital-ocean", "43"), "digital-ocean: the machine was `43` and is `42`", "digital-ocean-"),
        ] {
            let warned = concluded(&[node(&[annotation], BOOT_ID, "digitalocean://42")]);
            assert_eq!(warned.verdict(), Verdict::Warn);
            assert_eq!(
                warned.finding(),
                format!("facts of another boot or machine on 1 nodes: `n1` ({why})")
            );
            assert_eq!(warned.hint().unwrap(), format!("{run}{label}"));
        }
    }

    #[test]
    fn a_collector_that_is_due_anyway_is_not_named() {
        let mut due = node(&[("kernel.boot-id", "2cd2a6f4")], BOOT_ID, "");
        let mark = DoneMark::Generation("2".parse().unwrap());
        let of_generation = |due: &Node| {
            conclude(
                std::slice::from_ref(due),
                &Scope { mark: mark.clone(), ..Settings::default().all_collectors(&[]) },
            )
        };
        assert_eq!(concluded(std::slice::from_ref(&due)).verdict(), Verdict::Warn);
        // The label of no generation, for which another generation runs again.
        assert_eq!(of_generation(&due).verdict(), Verdict::Pass);
        due.metadata
            .labels
            .as_mut()
            .unwrap()
            .insert("k8s.haim.dev/kernel".to_owned(), marked("kernel", &mark));
        assert_eq!(of_generation(&due).verdict(), Verdict::Warn);
        due.metadata.labels = None;
        assert_eq!(concluded(&[due]).verdict(), Verdict::Pass);
    }

    #[test]
    fn a_fleet_is_not_named_one_by_one() {
        let one = node(&[("kernel.boot-id", "2cd2a6f4")], BOOT_ID, "");
        let warned = concluded(&vec![one; NAMED + 2]);
        assert!(warned.finding().starts_with("facts of another boot or machine on 7 nodes: "), "{warned:?}");
        assert!(warned.finding().ends_with("; and 2 more nodes"), "{warned:?}");
    }
}

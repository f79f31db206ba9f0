//! Which collectors share a DaemonSet, and what that DaemonSet needs for them.

use std::collections::BTreeMap;

use node_annotator_core::need::PathKind;
use node_annotator_core::{Collector, HostPath, Need, PrivilegeClass, Variable};

use crate::installation::PRODUCT;
use crate::{Error, Installation, Layout, Settings, labels};

/// The collectors of one DaemonSet.
#[derive(Debug, Clone)]
pub struct Workload {
    component: &'static str,
    class: PrivilegeClass,
    host_network: bool,
    collectors: Vec<&'static Collector>,
}

impl Workload {
    /// The DaemonSets that the settings call for, in order of their files.
    pub fn all(settings: &Settings) -> Vec<Self> {
        let mut workloads: BTreeMap<_, Self> = BTreeMap::new();
        for collector in settings.selection.iter() {
            let host_network = needs_host_network(collector, settings);
            let class = match &settings.task {
                Some(task) => task.class(),
                None if host_network => PrivilegeClass::Privileged,
                None => collector.privilege_class(),
            };
            let component = match settings.layout {
                Layout::PerCollector => collector.name,
                Layout::Combined => labels::COMBINED,
            };
            let empty = Self { component, class, host_network: false, collectors: Vec::new() };
            let workload = workloads.entry((component, class)).or_insert(empty);
            workload.host_network |= host_network;
            workload.collectors.push(collector);
        }
        let mut workloads: Vec<_> = workloads.into_values().collect();
        workloads.sort_by_key(Self::file_name);
        workloads
    }

    /// The collector, or [`labels::COMBINED`].
    pub fn component(&self) -> &'static str {
        self.component
    }

    /// What its namespace must allow.
    pub fn class(&self) -> PrivilegeClass {
        self.class
    }

    /// Its collectors, in order of name.
    pub fn collectors(&self) -> &[&'static Collector] {
        &self.collectors
    }

    /// The name of its DaemonSet. That of a combined one is the bare product, which no collector can have.
    pub fn name(&self) -> String {
        match self.component {
            labels::COMBINED => PRODUCT.to_owned(),
            collector => daemon_set_name(collector),
        }
    }

    /// The namespace of its DaemonSet.
    pub fn namespace(&self, installation: &Installation) -> String {
        installation.namespace(self.class)
    }

    /// The name of its file.
    pub(crate) fn file_name(&self) -> String {
        match self.component {
            labels::COMBINED => format!("daemonset-combined-{}.yaml", self.class.as_str()),
            collector => format!("daemonset-{collector}.yaml"),
        }
    }

    /// The names of its collectors, as `--collectors` takes them.
    pub(crate) fn names(&self) -> String {
        self.collectors.iter().map(|collector| collector.name).collect::<Vec<_>>().join(",")
    }

    /// Whether its pods share the node's network.
    pub(crate) fn host_network(&self) -> bool {
        self.host_network
    }

    /// What is mounted of the host: each path, and what it must be.
    pub(crate) fn mounts(&self) -> BTreeMap<&'static str, PathKind> {
        self.collectors.iter().flat_map(|collector| host_paths(collector)).map(HostPath::mount).collect()
    }

    /// The variables that its collectors read.
    pub(crate) fn variables(&self) -> BTreeMap<&'static str, Variable> {
        let variables = self.collectors.iter().flat_map(|collector| collector.variables);
        variables.map(|variable| (variable.name, *variable)).collect()
    }
}

fn needs_host_network(collector: &Collector, settings: &Settings) -> bool {
    collector.needs.iter().any(|need| match need {
        Need::HostNetwork => true,
        Need::MetadataService => settings.host_network,
        Need::HostPath(_) | Need::Dns => false,
    })
}

fn host_paths(collector: &Collector) -> impl Iterator<Item = &'static HostPath> {
    collector.needs.iter().filter_map(|need| match need {
        Need::HostPath(path) => Some(path),
        Need::HostNetwork | Need::MetadataService | Need::Dns => None,
    })
}

fn daemon_set_name(collector: &str) -> String {
    format!("{PRODUCT}-{collector}")
}

/// Finds a collector for which no DaemonSet can be made.
pub(crate) fn check(collector: &'static Collector) -> Result<(), Error> {
    let refuse = |reason| Err(Error::CollectorName { collector: collector.name, reason });
    if collector.name == labels::COMBINED {
        return refuse("the name stands for a DaemonSet of several collectors");
    }
    if collector.name == labels::EXPIRE {
        return refuse("the name stands for the CronJob that runs again what is stale");
    }
    // Pods carry it in labels and host names.
    if daemon_set_name(collector.name).len() > 63 {
        return refuse("with `node-annotator-` before it the name is longer than 63 characters");
    }
    Ok(())
}

//! What a cluster's servers say of themselves, and what the kernel says of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use node_annotator_tests::Cluster;

/// The kernel's unit of a process's time, the same on all architectures that Kubernetes runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The state of the servers at one moment.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// Requests that were answered, by verb and resource, and by HTTP status.
    requests: BTreeMap<(String, String), f64>,
    /// By the name of the program.
    cpu_seconds: BTreeMap<String, f64>,
    /// Of the etcd database.
    pub(super) store_bytes: usize,
}

impl Snapshot {
    pub(super) async fn take(cluster: &Cluster) -> Result<Self> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let metrics = cluster.client().request_text(request).await.context("cannot read the metrics")?;
        Ok(Self {
            requests: requests(&metrics),
            cpu_seconds: cpu_seconds(cluster.process_group()),
            store_bytes: store_bytes(cluster.folder()),
        })
    }

    /// Requests since an earlier moment, by verb and resource.
    pub(super) fn requests_since(&self, earlier: &Self) -> BTreeMap<String, f64> {
        let mut counts = BTreeMap::new();
        for ((what, status), count) in &self.requests {
            let before = earlier.requests.get(&(what.clone(), status.clone())).copied().unwrap_or_default();
            *counts.entry(what.clone()).or_default() += count - before;
        }
        counts.retain(|_, count: &mut f64| *count > 0.0);
        counts
    }

    /// Requests since an earlier moment that were answered with this status.
    pub(super) fn answered_since(&self, earlier: &Self, status: &str) -> f64 {
        let sum = |snapshot: &Self| {
            let answered = snapshot.requests.iter().filter(|((_, of), _)| of == status);
            answered.map(|(_, count)| count).sum::<f64>()
        };
        sum(self) - sum(earlier)
    }

    /// Seconds of processor time of all servers since an earlier moment.
    pub(super) fn cpu_since(&self, earlier: &Self) -> f64 {
        self.cpu_seconds.values().sum::<f64>() - earlier.cpu_seconds.values().sum::<f64>()
    }
}

/// The counters of `apiserver_request_total`.
fn requests(metrics: &str) -> BTreeMap<(String, String), f64> {
    let mut counts = BTreeMap::new();
    for line in metrics.lines() {
        let Some((labels, value)) =
            line.strip_prefix("apiserver_request_total{").and_then(|rest| rest.split_once("} "))
        else {
            continue;
        };
        let label = |name: &str| {
            let rest = labels.split_once(&format!("{name}=\""))?.1;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let text = |name| label(name).unwrap_or_default();
        let subresource = label("subresource").filter(|name| !name.is_empty());
        let resource = text("resource") + &subresource.map(|name| format!("/{name}")).unwrap_or_default();
        let what = format!("{} {resource}", text("verb"));
        *counts.entry((what, text("code"))).or_default() += value.trim().parse::<f64>().unwrap_or_default();
    }
    counts
}

/// User and system time of the processes of a group.
fn cpu_seconds(group: i32) -> BTreeMap<String, f64> {
    let mut seconds = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(stat) = fs::read_to_string(process.path().join("stat")) else { continue };
        // The name is in brackets and may hold blanks.
        let Some((name, rest)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")) else {
            continue;
        };
        let fields: Vec<f64> = rest.split(' ').map(|field| field.parse().unwrap_or_default()).collect();
        if fields.get(2).is_some_and(|of| (of - f64::from(group)).abs() < 0.5) && fields.len() > 12 {
            *seconds.entry(name.to_owned()).or_default() += (fields[11] + fields[12]) / TICKS_PER_SECOND;
        }
    }
    seconds
}

/// The size of the database below a cluster's folder.
fn store_bytes(folder: &Path) -> usize {
    let planes = fs::read_dir(folder).into_iter().flatten().flatten();
    let databases = planes.filter_map(|plane| fs::metadata(plane.path().join("etcd/member/snap/db")).ok());
    databases.map(|file| usize::try_from(file.len()).unwrap_or_default()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_by_verb_resource_and_status() {
        let line = |code: u16, count: &str| {
            format!(
                "apiserver_request_total{{code=\"{code}\",resource=\"pods\",subresource=\"status\",verb=\"PATCH\"}} {count}\n"
            )
        };
        let counts = requests(&(line(200, "4") + &line(429, "1e+01") + "other_total{verb=\"GET\"} 1\n"));
        let counts: Vec<_> =
            counts.iter().map(|((what, code), count)| format!("{what} {code} {count}")).collect();
        assert_eq!(counts, ["PATCH pods/status 200 4", "PATCH pods/status 429 10"]);
    }
}

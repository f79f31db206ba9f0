//! Checks an installation in its cluster, with an administrator's rights, without a pod and without a write.
//!
//! Most checks try requests instead of reading objects: requests in the name of our service accounts, with
//! the groups that the API server gives them and the node that a token would name. Each of them is a dry run,
//! which is admitted as a real request would be and then forgotten. A check that could not be made counts as
//! skipped.
//!
//! A new check is a row in `table.rs`, and its function.

mod account;
mod account_users;
mod answers;
mod check;
mod coverage;
mod evidence;
mod expire;
mod fact_labels;
mod failures;
mod flow_schema;
mod grants;
mod namespaces;
mod overlap;
mod policy;
mod progress;
mod report;
mod requests;
mod rights;
mod server;
mod staleness;
mod startup_taint;
mod table;
mod tried_on;

use std::time::Duration;

pub use check::{Check, Verdict};
use futures_util::future::LocalBoxFuture;
use kube::Config;
use node_annotator_core::{DoneMark, LabelFacts, Prefix, PrivilegeClass, Registry};
use node_annotator_deploy::startup_taint::{OnFailure, StartupTaintKey};
use node_annotator_deploy::{Installation, StartupTaint, policy as admission};
pub use report::render;
use tokio::time::{Instant, timeout_at};

use self::check::Outcome;
use self::evidence::Evidence;
use self::table::{Scope, rows};
use crate::app::App;
use crate::cluster::ClusterError;
use crate::exit::Exit;
use crate::trouble::Trouble;

/// The installation that is checked.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The installation, known by its namespace.
    pub installation: Installation,
    /// The domain that all its keys begin with.
    pub prefix: Prefix,
    /// Whether nothing is tried in the name of the accounts.
    pub no_impersonation: bool,
    /// The flags by which there is a CronJob, if there is one.
    pub expire: Option<String>,
    /// The binary that checks, and that would generate the manifests anew.
    pub app: App,
}

impl Settings {
    /// What a policy for all collectors follows from, for when there is none that tells.
    fn all_collectors(&self, classes: &[PrivilegeClass]) -> admission::Scope {
        admission::Scope {
            installation: self.installation.clone(),
            classes: classes.to_vec(),
            prefix: self.prefix.clone(),
            mark: DoneMark::Saved,
            stamp_day: false,
            labels: LabelFacts::default(),
            startup_taint: None,
            collectors: Registry::from_inventory().iter().flat_map(Registry::iter).collect(),
        }
    }

    /// The command that brings everything back to what this version generates.
    fn apply_command(&self) -> String {
        let input = if self.installation.is_of_task() { "input and " } else { "" };
        format!("apply again, with the {input}flags it was installed with: {}", self.manifests_command(None))
    }

    /// The same, for when the policy is not in force: a right is in force at once, and a policy up to a
    /// second after it was stored.
    fn repair_command(&self) -> String {
        format!(
            "until then a stolen token may change every node: first take the right away, kubectl delete clusterrolebinding {}, then {}",
            self.installation.cluster_object(),
            self.apply_command()
        )
    }

    /// The command that applies what this version generates, with these keys.
    fn manifests_command(&self, scope: Option<&admission::Scope>) -> String {
        if self.installation.is_of_task() {
            let name = self.installation.as_str().trim_start_matches("once-");
            return format!("{} once {name} | kubectl apply -f -", self.app.name);
        }
        let mut flags = scope.map(flags).unwrap_or_default();
        if self.installation != Installation::default() {
            flags = format!("{flags} --namespace {}", self.installation);
        }
        if self.prefix != Prefix::default() {
            flags = format!("{flags} --prefix {}", self.prefix);
        }
        if let Some(expire) = &self.expire {
            flags = format!("{flags} {expire}");
        }
        format!("{} manifests{flags} | kubectl apply -f -", self.app.name)
    }
}

/// The flags by which the manifests get the keys and the taint of a policy.
fn flags(scope: &admission::Scope) -> String {
    let names: Vec<_> = scope.collectors.iter().map(|collector| collector.name).collect();
    let mut flags = format!(" --collectors {}", names.join(","));
    if let DoneMark::Generation(generation) = &scope.mark {
        flags = format!("{flags} --generation {}", generation.as_str());
    }
    if scope.stamp_day {
        flags.push_str(" --stamp-day");
    }
    let labels = scope.labels.names(&scope.collectors);
    if !labels.is_empty() {
        flags = format!("{flags} --labels {}", labels.join(","));
    }
    if let Some(StartupTaint { key, on_failure }) = &scope.startup_taint {
        flags.push_str(" --startup-taint");
        if *key != StartupTaintKey::Own.of(&scope.installation) {
            flags = format!("{flags} {key}");
        }
        if *on_failure != OnFailure::Keep {
            flags = format!("{flags} --startup-taint-on-failure {}", on_failure.as_str());
        }
    }
    flags
}

/// All checks of one installation.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    settings: Settings,
    checks: Vec<Check>,
}

impl Diagnosis {
    /// The checks in the order in which they are shown: those of the cluster, then those of each namespace.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Done when everything holds, warnings included; a failed check counts before one that could not be
    /// made.
    pub fn exit(&self) -> Exit {
        let any = |verdict| self.checks.iter().any(|check| check.verdict == verdict);
        if any(Verdict::Fail) {
            Exit::Failures
        } else if any(Verdict::Skip) {
            Exit::Unfinished
        } else {
            Exit::Done
        }
    }
}

/// Makes all checks. What goes wrong meanwhile is the reason of a check that is skipped; so is the deadline.
pub async fn diagnose(
    config: Result<Config, ClusterError>,
    settings: &Settings,
    deadline: Duration,
) -> Diagnosis {
    let end = Instant::now() + deadline;
    let evidence = timeout_at(end, Evidence::read(config, settings, end)).await;
    match evidence.unwrap_or_else(|_| Err(too_late())) {
        Ok(evidence) => Diagnosis { settings: settings.clone(), checks: check_all(&evidence, end).await },
        Err(trouble) => nothing_checked(&trouble, settings),
    }
}

/// The trouble of a check that the deadline ended.
pub fn too_late() -> Trouble {
    Trouble::new(
        "the deadline passed before it was checked",
        "does the API server answer, and can the kubeconfig be read? a large cluster needs a longer --deadline",
    )
}

async fn check_all(all: &Evidence, end: Instant) -> Vec<Check> {
    let mut checks = Vec::new();
    for row in rows(&all.settings) {
        if let Scope::Cluster(function) = row.scope {
            checks.push(Check::new(row.name, None, in_time(end, function(all)).await));
        }
    }
    for one in &all.namespaces {
        for row in rows(&all.settings) {
            let outcome = match row.scope {
                Scope::Cluster(_) => continue,
                Scope::Namespace(function) => in_time(end, function(all, one)).await,
                Scope::Denial(denial) => in_time(end, Box::pin(answers::refused(all, one, denial))).await,
            };
            checks.push(Check::new(row.name, Some(&one.account.namespace), outcome));
        }
    }
    checks
}

async fn in_time(end: Instant, outcome: LocalBoxFuture<'_, Outcome>) -> Outcome {
    timeout_at(end, outcome).await.unwrap_or_else(|_| Err(too_late()))
}

/// The diagnosis when none of the checks could be made; the first of them says why.
pub fn nothing_checked(trouble: &Trouble, settings: &Settings) -> Diagnosis {
    let namespace = settings.installation.namespace(PrivilegeClass::Restricted);
    let mut checks: Vec<_> = rows(settings)
        .map(|row| {
            let namespace = (!matches!(row.scope, Scope::Cluster(_))).then_some(namespace.as_str());
            Check::not_made(row.name, namespace)
        })
        .collect();
    if let Some(first) = checks.first_mut() {
        *first = Check::new(first.name, None, Err(trouble.clone()));
    }
    Diagnosis { settings: settings.clone(), checks }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_drips_ends_with_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let asked = connection.read(&mut [0; 4096]).await.unwrap();
                    assert!(asked > 0);
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{";
                    let mut sent = connection.write_all(head.as_bytes()).await;
                    // One byte after the other: the server is never silent.
                    while sent.is_ok() {
                        sent = connection.write_all(b" ").await;
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                });
            }
        });
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let settings = Settings::default();
        let work = diagnose(Ok(config), &settings, Duration::from_millis(200));
        let diagnosis = tokio::time::timeout(Duration::from_secs(30), work).await.unwrap();
        server.abort();
        assert_eq!(diagnosis.exit(), Exit::Unfinished);
        assert!(diagnosis.checks().iter().all(|check| check.verdict == Verdict::Skip), "{diagnosis:?}");
        assert_eq!(diagnosis.checks()[0].finding, too_late().what);
    }
}

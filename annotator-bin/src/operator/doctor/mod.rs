//! Checks an installation in its cluster, with an administrator's rights, without a pod and without a write.
//!
//! Most checks try requests instead of reading objects: requests in the name of our service accounts, with
//! the groups that the API server gives them and the node that a token would name. Each of them is a dry run,
//! which is admitted as a real request would be and then forgotten. A check that could not be made counts as
//! skipped.
//!
//! A new check is a row in `table.rs`, and its function.

mod account;
mod answers;
mod check;
mod evidence;
mod namespaces;
mod objects;
mod overlap;
mod policy;
mod progress;
mod report;
mod requests;
mod rights;
mod server;
mod table;

pub use check::{Check, Verdict};
use kube::Config;
use node_annotator_core::{DoneMark, Prefix, PrivilegeClass, Registry};
use node_annotator_deploy::{Installation, policy as admission};
pub use report::render;

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
            collectors: Registry::from_inventory().iter().flat_map(Registry::iter).collect(),
        }
    }

    /// The command that brings everything back to what this version generates.
    fn apply_command(&self) -> String {
        let mut flags = String::new();
        if self.installation != Installation::default() {
            flags = format!(" --namespace {}", self.installation);
        }
        if self.prefix != Prefix::default() {
            flags = format!("{flags} --prefix {}", self.prefix);
        }
        format!(
            "apply again, with the flags it was installed with: {} manifests{flags} | kubectl apply -f -",
            self.app.name
        )
    }
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

/// Makes all checks. What goes wrong meanwhile is the reason of a check that is skipped.
pub async fn diagnose(config: Result<Config, ClusterError>, settings: &Settings) -> Diagnosis {
    let checks = match Evidence::read(config, settings).await {
        Ok(evidence) => check_all(&evidence).await,
        Err(trouble) => unreachable_cluster(&trouble, settings),
    };
    Diagnosis { settings: settings.clone(), checks }
}

async fn check_all(all: &Evidence) -> Vec<Check> {
    let mut checks = Vec::new();
    for row in rows() {
        if let Scope::Cluster(function) = row.scope {
            checks.push(Check::new(row.name, None, function(all).await));
        }
    }
    for one in &all.namespaces {
        for row in rows() {
            let outcome = match row.scope {
                Scope::Cluster(_) => continue,
                Scope::Namespace(function) => function(all, one).await,
                Scope::Denial(denial) => answers::refused(all, one, denial).await,
            };
            checks.push(Check::new(row.name, Some(&one.account.namespace), outcome));
        }
    }
    checks
}

/// The first check says why none was made.
fn unreachable_cluster(trouble: &Trouble, settings: &Settings) -> Vec<Check> {
    let namespace = settings.installation.namespace(PrivilegeClass::Restricted);
    let mut checks: Vec<_> = rows()
        .map(|row| {
            let namespace = (!matches!(row.scope, Scope::Cluster(_))).then_some(namespace.as_str());
            Check::not_made(row.name, namespace)
        })
        .collect();
    if let Some(first) = checks.first_mut() {
        *first = Check::new(first.name, None, Err(trouble.clone()));
    }
    checks
}

//! Keys, tokens, kubeconfigs and the audit policy of one control plane.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::ports::random;

pub(super) const ACCOUNT_KEY: &str = "service-account.key";
pub(super) const ACCOUNT_PUBLIC_KEY: &str = "service-account.pub";
pub(super) const AUDIT_POLICY: &str = "audit-policy.yaml";
pub(super) const CERTIFICATES: &str = "certificates";
pub(super) const TOKENS: &str = "tokens.csv";

/// Bodies where our writes are, the mere fact of a request everywhere else.
const AUDIT_POLICY_TEXT: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  verbs: [create, update, patch, delete]
  resources:
  - {group: '', resources: [nodes, nodes/*]}
- level: Metadata
";

/// Everybody who talks to the API server with a fixed token. All may do everything: their names tell them
/// apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    Admin,
    ControllerManager,
    Scheduler,
    Kubelet,
}

impl User {
    const ALL: [Self; 4] = [Self::Admin, Self::ControllerManager, Self::Scheduler, Self::Kubelet];

    fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::ControllerManager => "system:kube-controller-manager",
            Self::Scheduler => "system:kube-scheduler",
            Self::Kubelet => "simulated-kubelet",
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::Admin => "admin.kubeconfig",
            Self::ControllerManager => "controller-manager.kubeconfig",
            Self::Scheduler => "scheduler.kubeconfig",
            Self::Kubelet => "kubelet.kubeconfig",
        }
    }
}

/// The folder of a control plane, and the tokens that were made for it.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    tokens: Vec<(User, String)>,
}

impl Files {
    /// Makes the folder (only ours to read) and what the API server needs to find in it.
    pub(super) fn write(folder: &Path) -> Result<Self> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(CERTIFICATES));
        made.with_context(|| format!("cannot create `{}`", folder.display()))?;
        let tokens = User::ALL.map(|user| (user, format!("{:016x}{:016x}", random(), random()))).to_vec();
        let files = Self { folder: folder.to_owned(), tokens };
        let key = rcgen::KeyPair::generate().context("cannot make a key")?;
        files.write_private(ACCOUNT_KEY, &key.serialize_pem())?;
        files.write_private(ACCOUNT_PUBLIC_KEY, &key.public_key_pem())?;
        files.write_private(AUDIT_POLICY, AUDIT_POLICY_TEXT)?;
        let rows =
            files.tokens.iter().map(|(user, token)| format!("{token},{0},{0},system:masters", user.name()));
        files.write_private(TOKENS, &rows.collect::<Vec<_>>().join("\n"))?;
        Ok(files)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.path("audit.log")
    }

    pub(super) fn kubeconfig(&self, user: User) -> PathBuf {
        self.path(user.file_name())
    }

    /// The API server signs its own certificate when it starts for the first time; its file holds the
    /// authority as well.
    pub(super) fn certificate_authority(&self) -> PathBuf {
        self.path(CERTIFICATES).join("apiserver.crt")
    }

    pub(super) fn write_kubeconfigs(&self, server: &str) -> Result<()> {
        for (user, token) in &self.tokens {
            let text = kubeconfig(server, &self.certificate_authority(), &json!({ "token": token }));
            self.write_private(user.file_name(), &text)?;
        }
        Ok(())
    }

    fn write_private(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        let file = fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("cannot write `{}`", path.display()))
    }
}

/// A kubeconfig with one context; JSON is YAML.
pub(crate) fn kubeconfig(server: &str, authority: &Path, user: &serde_json::Value) -> String {
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    });
    format!("{text:#}\n")
}

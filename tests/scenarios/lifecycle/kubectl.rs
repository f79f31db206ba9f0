//! The real kubectl, given commands as they stand in the documentation.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use node_annotator_tests::Cluster;
use node_annotator_tests::binaries::{Binaries, Tool};
use tokio::process::Command;

/// kubectl with an administrator's rights on a cluster.
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
    group: i32,
}

/// What a command that succeeded said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Kubectl {
    /// Builds it when it was never built.
    pub(crate) async fn of(cluster: &Cluster) -> Result<Self> {
        let obtain = || Binaries::obtain(None, &[Tool::Kubectl]);
        let binaries = tokio::task::spawn_blocking(obtain).await.context("the build panicked")??;
        Ok(Self {
            program: binaries.path(Tool::Kubectl),
            kubeconfig: cluster.kubeconfig(),
            home: cluster.folder().to_owned(),
            group: cluster.process_group(),
        })
    }

    /// Runs a command line that begins with `kubectl`, through a shell as people do.
    pub(crate) async fn run(&self, command: &str) -> Result<Said> {
        let folder = self.program.parent().context("kubectl lies in no folder")?;
        let output = Command::new("sh")
            .args(["-c", command])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .process_group(self.group)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot start a shell")?;
        let said =
            Said { stdout: String::from_utf8(output.stdout)?, stderr: String::from_utf8(output.stderr)? };
        ensure!(output.status.success(), "`{command}`: {}\n{said:?}", output.status);
        Ok(said)
    }
}

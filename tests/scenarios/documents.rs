//! The commands in the documents, given to a shell as they stand there.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use node_annotator_tests::binaries::{Binaries, Tool};
use node_annotator_tests::{Cluster, Options, annotator_binary, wait};
use tokio::process::Command;
use xtask_workspace::documents::{Commands, Page, pages};

use crate::support::{add_settled, node_of};

/// What the documents call the nodes, and `NODE` is the first of them.
const NODES: [(&str, &str); 3] =
    [("worker-1", "amd-epyc"), ("worker-2", "intel-xeon"), ("worker-3", "alder-lake")];

/// None takes longer, those that wait for a fleet included.
const DEADLINE: Duration = Duration::from_mins(2);

/// A shell of somebody who follows the documents at the top of a checkout.
struct Shell {
    folder: PathBuf,
    path: String,
    kubeconfig: PathBuf,
    group: i32,
}

impl Shell {
    async fn of(cluster: &Cluster) -> Result<Self> {
        let obtain = || Binaries::obtain(None, &[Tool::Kubectl]);
        let binaries = tokio::task::spawn_blocking(obtain).await.context("the build panicked")??;
        let kubectl = binaries.path(Tool::Kubectl);
        let ours = annotator_binary()?;
        let folders = [kubectl.parent(), ours.parent(), Some(Path::new("/usr/bin")), Some(Path::new("/bin"))];
        let folders: Vec<_> = folders.into_iter().flatten().map(|path| path.display().to_string()).collect();
        // What commands write must not lie in the checkout.
        let folder = cluster.folder().join("checkout");
        std::fs::create_dir(&folder)?;
        for name in ["deploy", "docs"] {
            std::os::unix::fs::symlink(xtask_workspace::root().join(name), folder.join(name))?;
        }
        let (kubeconfig, group) = (cluster.kubeconfig(), cluster.process_group());
        Ok(Self { folder, path: folders.join(":"), kubeconfig, group })
    }

    async fn run(&self, commands: &str) -> Result<()> {
        let shell = Command::new("bash")
            .args(["-euo", "pipefail", "-c", commands])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", &self.path)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder)
            .process_group(self.group)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(DEADLINE, shell).await.context("it does not end")??;
        let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        ensure!(output.status.success(), "{}\n{}{}", output.status, said[0], said[1]);
        Ok(())
    }

    /// Brings the installation of `deploy/kubernetes` back, whatever the page before left.
    async fn install(&self) -> Result<()> {
        let reset = "kubectl delete daemonsets --all-namespaces --selector app.kubernetes.io/part-of
            kubectl delete mutatingadmissionpolicybindings,mutatingadmissionpolicies --all
            kubectl delete namespaces --ignore-not-found node-annotator-privileged node-annotator-expire facts";
        self.run(reset).await?;
        // A namespace that goes takes nothing new.
        wait::until("deploy/kubernetes to be applied", async || {
            self.run("kubectl apply -f deploy/kubernetes").await
        })
        .await?;
        self.run("node-annotator wait --timeout 90s").await
    }
}

/// As a reader does who has a node.
fn with_a_node(commands: &str) -> String {
    let is_word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let mut text = String::new();
    let mut rest = commands;
    while let Some(at) = rest.find("NODE") {
        let (before, after) = (&rest[..at], &rest[at + 4..]);
        let is_whole = !is_word(before.bytes().last()) && !is_word(after.bytes().next());
        text += before;
        text += if is_whole { NODES[0].0 } else { "NODE" };
        rest = after;
    }
    text + rest
}

/// Tasks do something to the machine, so they are applied where no node is.
fn is_task(commands: &Commands) -> bool {
    commands.text.contains("node-annotator once ")
}

#[tokio::test]
async fn commands_in_the_documents_do_what_they_say() -> Result<()> {
    let pages = pages()?;
    let read = |page: &Page| page.commands().map_err(|error| anyhow!(error));
    let cluster = Cluster::start(Options::default()).await?;
    for (name, fixture) in NODES {
        add_settled(&cluster, node_of(name, fixture)).await?;
    }
    let shell = Shell::of(&cluster).await?;
    let (mut ran, mut not_run, mut failed) = (0, 0, Vec::new());
    let mut tasks = Vec::new();
    for page in &pages {
        let mut is_installed = false;
        for commands in read(page)? {
            if commands.not_run.is_some() {
                not_run += 1;
                continue;
            }
            if is_task(&commands) {
                tasks.push((page, commands));
                continue;
            }
            if !is_installed {
                shell.install().await.with_context(|| format!("before {}", page.path.display()))?;
                is_installed = true;
            }
            ran += 1;
            failed.extend(run(&shell, page, &commands).await);
        }
    }
    for (name, _) in NODES {
        cluster.delete_node(name).await?;
    }
    for (page, commands) in tasks {
        ran += 1;
        failed.extend(run(&shell, page, &commands).await);
    }
    eprintln!("{ran} blocks of commands were run, {not_run} say why not");
    ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    ensure!(ran > 25, "only {ran} blocks were run");
    Ok(())
}

/// What is wrong with a block.
async fn run(shell: &Shell, page: &Page, commands: &Commands) -> Option<String> {
    let started = Instant::now();
    let done = shell.run(&with_a_node(&commands.text)).await;
    let place = format!("{}:{}", page.path.display(), commands.line);
    eprintln!("{:>6.1} s  {place}", started.elapsed().as_secs_f64());
    done.err().map(|error| format!("{place}: {error:#}\n{}", commands.text))
}

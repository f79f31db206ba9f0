//! Pictures of the commands for a fleet, of what they print about the demo's cluster.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use node_annotator_tests::{Cluster, annotator_binary, browser};
use tokio::process::Command;

use super::screen::HEADING;

/// What the terminal shows.
const COMMANDS: [&[&str]; 4] = [
    &["status"],
    &["get", "kernel,cpu-model", "--sort-by", "kernel"],
    &["diff", "droplet", "xeon-server", "--collectors", "kernel"],
    &["check", "--file", EXPECTATIONS],
];

const EXPECTATIONS: &str = "expectations.yaml";
const EXPECTED: &str = "
expectations:
- expect: kernel.major >= 6
- name: Droplets have an anchor IP
  expect: digital-ocean-anchor-ip
  where: cpu-model contains DO-
";

/// Writes `fleet.svg`, what the commands print, and `report.png`, the report as a browser shows it.
pub(super) async fn record(cluster: &Cluster, folder: &Path) -> Result<()> {
    fs::write(cluster.folder().join(EXPECTATIONS), EXPECTED).context("cannot write what is expected")?;
    let mut shown = String::new();
    for arguments in COMMANDS {
        let command = arguments.join(" ");
        let printed = printed(cluster, arguments).await?;
        writeln!(shown, "{HEADING}$ node-annotator {command}{HEADING:#}\n{printed}")?;
    }
    let picture = anstyle_svg::Term::new().render_svg(shown.trim_end());
    fs::write(folder.join("fleet.svg"), picture).context("cannot write `fleet.svg`")?;
    let page = cluster.folder().join("report.html");
    fs::write(&page, printed(cluster, &["report", "--title", "A small fleet"]).await?)?;
    photograph(cluster, &page, &folder.join("report.png")).await
}

async fn printed(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(annotator_binary()?);
    command
        .args(arguments)
        .current_dir(cluster.folder())
        .env("NODE_ANNOTATOR_KUBECONFIG", cluster.kubeconfig());
    let output = command.output().await.context("cannot start the binary")?;
    let told = String::from_utf8_lossy(&output.stderr);
    // A check that finds something has done its work.
    ensure!(matches!(output.status.code(), Some(0 | 3)), "{arguments:?}: {told}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn photograph(cluster: &Cluster, page: &Path, picture: &Path) -> Result<()> {
    let Some(mut command) = browser::command(cluster.folder()) else {
        bail!(
            "there is no browser to show the report\nhint: install one of {}",
            browser::BROWSERS.join(", ")
        );
    };
    command
        .args(["--hide-scrollbars", "--window-size=1280,1480"])
        .arg(format!("--screenshot={}", std::path::absolute(picture)?.display()))
        .arg(format!("file://{}", page.display()));
    let output = command.output().await.context("cannot start the browser")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && picture.is_file(), "the browser: {told}");
    Ok(())
}

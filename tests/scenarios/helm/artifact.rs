//! The chart as an OCI artifact, through a real registry.

use anyhow::{Result, ensure};
use node_annotator_tests::registry::Registry;

use super::{Helm, VERSIONS, chart, objects};

#[tokio::test]
async fn what_is_pulled_renders_to_what_was_pushed() -> Result<()> {
    let registry = Registry::start().await?;
    for tool in VERSIONS {
        let folder = tempfile::tempdir()?;
        let home = folder.path().to_owned();
        let helm = tokio::task::spawn_blocking(move || Helm::alone(tool, &home)).await??;
        let (chart, destination) = (chart().display().to_string(), folder.path().display().to_string());
        helm.on(&["package", &chart, "--destination", &destination]).await?;
        let version = env!("CARGO_PKG_VERSION");
        let package = format!("{destination}/node-annotator-{version}.tgz");
        let repository = format!("oci://{}/{}/charts", registry.name(), tool.name());
        helm.on(&["push", &package, &repository, "--plain-http"]).await?;

        let pushed = format!("{repository}/node-annotator");
        let of_registry = ["--version", version, "--plain-http"];
        let of_cluster = ["--kube-version", "1.37.0", "--namespace", "node-annotator"];
        let template = |chart| [&["template", "node-annotator", chart], &of_cluster[..]].concat();
        let pulled = helm.on(&[&template(&pushed)[..], &of_registry].concat()).await?;
        let here = helm.on(&template(&chart)).await?;
        ensure!(objects(&pulled)? == objects(&here)?, "the pulled chart is another one");
        helm.on(&[&["pull", &pushed, "--untar", "--untardir", &destination], &of_registry[..]].concat())
            .await?;
        // But for Chart.yaml, which `package` writes anew.
        for file in ["values.schema.json", "files/collectors.json", "README.md"] {
            let read = |root: &str| std::fs::read(format!("{root}/{file}"));
            ensure!(
                read(&chart)? == read(&format!("{destination}/node-annotator"))?,
                "{file} is another one"
            );
        }
    }
    Ok(())
}

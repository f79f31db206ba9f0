//! In which queue of the API server the requests of our accounts wait.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use kube::api::ListParams;
use kube::client::Body;
use kube::{Api, Client, ResourceExt as _};
use node_annotator_deploy::Settings;
use node_annotator_deploy::labels::{NAME, PART_OF};
use node_annotator_tests::{Cluster, Options};

use super::stage::{IMPERSONATOR, NO_RIGHTS, POD, PRIVILEGED_POD, SIBLING, STRANGER, Stage};
use crate::support;

#[tokio::test]
async fn every_request_of_ours_waits_in_our_queue() -> Result<()> {
    let stage = Stage::start().await?;
    let client = stage.cluster.client();
    let schema = Api::<FlowSchema>::all(client.clone()).get("node-annotator").await?.uid();
    let level = Api::<PriorityLevelConfiguration>::all(client).get("node-annotator").await?.uid();
    let ours = [schema.context("no uid")?, level.context("no uid")?];
    for who in [POD, PRIVILEGED_POD, SIBLING, NO_RIGHTS, IMPERSONATOR] {
        for (method, path, body) in [
            ("PATCH", "/api/v1/nodes/n1", "{}"),
            ("GET", "/api/v1/nodes/n1", ""),
            ("DELETE", "/api/v1/namespaces/default/pods/any", ""),
            ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "{}"),
            ("GET", "/version", ""),
            ("GET", "/nowhere", ""),
        ] {
            let found = queue(stage.attacker(who)?, method, path, body).await?;
            ensure!(found == ours, "{who}: {method} {path} waits elsewhere: {found:?}, {ours:?}");
        }
    }
    let found = queue(stage.attacker(STRANGER)?, "PATCH", "/api/v1/nodes/n1", "{}").await?;
    ensure!(found[0] != ours[0] && found[1] != ours[1], "{found:?}");
    Ok(())
}

/// Flow schema and priority level, as the answer names them.
async fn queue(client: &Client, method: &str, path: &str, body: &str) -> Result<[String; 2]> {
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, kind)
        .body(Body::from(body.as_bytes().to_vec()))?;
    let response = client.send(request).await.context("no answer")?;
    let header = |name: &str| {
        let value = response.headers().get(name).with_context(|| format!("{method} {path}: no {name}"))?;
        anyhow::Ok(value.to_str()?.to_owned())
    };
    Ok([header("x-kubernetes-pf-flowschema-uid")?, header("x-kubernetes-pf-prioritylevel-uid")?])
}

#[tokio::test]
async fn two_installations_share_a_level_that_outlives_one() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    let first = support::settings("kernel");
    support::install(&cluster, &first).await?;
    let levels: Api<PriorityLevelConfiguration> = Api::all(cluster.client());
    let before = levels.get("node-annotator").await?;
    let second = Settings { installation: "facts".parse()?, prefix: "facts.example.com".parse()?, ..first };
    support::install(&cluster, &second).await?;
    let after = levels.get("node-annotator").await?;
    ensure!(before.spec == after.spec, "{after:?}");
    ensure!(!after.labels().contains_key(PART_OF), "uninstalling one takes it away");
    let ours = ListParams::default().labels(&format!("{NAME}=node-annotator"));
    let schemas = Api::<FlowSchema>::all(cluster.client()).list(&ours).await?;
    let mut schemas: Vec<_> =
        schemas.iter().map(|schema| (schema.name_any(), schema.labels()[PART_OF].clone())).collect();
    schemas.sort();
    let expected = [("node-annotator", "node-annotator"), ("node-annotator-facts", "facts")];
    ensure!(schemas == expected.map(|(name, of)| (name.to_owned(), of.to_owned())), "{schemas:?}");
    Ok(())
}

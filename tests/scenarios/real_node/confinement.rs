//! What the container may do, and what its token is good for in the wrong hands.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, ResourceExt as _};
use node_annotator_deploy::policy::FIELD_MANAGER;
use node_annotator_deploy::{Layout, Settings};
use node_annotator_tests::wait;
use serde_json::{Value, json};

use crate::world::{NODE, World, key, settings};

const MIB: u64 = 1024 * 1024;

/// In force, as the kernel tells of the process; not as the manifest asks for.
pub(crate) async fn the_container_has_no_rights(world: &mut World) -> Result<()> {
    let pod = world.lingering_pod(&settings("kernel")?).await?;
    let pid = process(world, &pod).await?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let fields: BTreeMap<_, _> = status.lines().filter_map(|line| line.split_once(":\t")).collect();
    println!("  Uid {}, CapBnd {}, Seccomp {}", fields["Uid"], fields["CapBnd"], fields["Seccomp"]);
    for (name, value) in [
        ("Uid", "65532\t65532\t65532\t65532"),
        // The kubelet takes the image's user alone. The group is that of the image's /etc/passwd.
        ("Gid", "65532\t65532\t65532\t65532"),
        ("Groups", "65532 "),
        ("CapInh", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
        ("CapEff", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "1"),
        // A filter.
        ("Seccomp", "2"),
    ] {
        assert_eq!(fields[name], value, "{name}");
    }
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).context("no root")?;
    let options = root.split(' ').nth(5).unwrap_or_default();
    assert!(options.split(',').any(|option| option == "ro"), "{root}");
    Ok(())
}

/// The token is for one pod on one node, and says so to whoever verifies it.
pub(crate) async fn the_token_is_bound_to_pod_and_node(world: &mut World) -> Result<()> {
    let pod = world.lingering_pod(&settings("kernel")?).await?;
    let token = fs::read_to_string(token_file(world, &pod)?)?;
    let reviews: Api<TokenReview> = Api::all(world.cluster().client());
    let seconds = valid_seconds(&token)?;
    println!("  the token is valid for {seconds} s");
    let spec = TokenReviewSpec { token: Some(token), audiences: None };
    let review = TokenReview { spec, ..TokenReview::default() };
    let status = reviews.create(&PostParams::default(), &review).await?.status.context("no status")?;
    ensure!(status.authenticated == Some(true), "{status:?}");
    let user = status.user.context("no user")?;
    assert_eq!(user.username.as_deref(), Some("system:serviceaccount:node-annotator:node-annotator"));
    let extra = user.extra.unwrap_or_default();
    let claim = |name: &str| extra[&format!("authentication.kubernetes.io/{name}")][0].clone();
    let node = world.own_node().await?;
    assert_eq!(claim("pod-name"), pod.name_any());
    assert_eq!(Some(claim("pod-uid")), pod.uid());
    assert_eq!(claim("node-name"), NODE);
    assert_eq!(Some(claim("node-uid")), node.uid());
    assert_eq!(seconds, 600);
    Ok(())
}

/// Who owns a node reads the token from its disk. It is good for the node's own facts, and for nothing else.
pub(crate) async fn a_stolen_token_writes_no_other_node(world: &mut World) -> Result<()> {
    let nodes: Api<Node> = Api::all(world.cluster().client());
    let other = Node {
        metadata: ObjectMeta { name: Some("other".to_owned()), ..ObjectMeta::default() },
        ..Node::default()
    };
    nodes.create(&PostParams::default(), &other).await?;
    let pod = world.lingering_pod(&settings("kernel")?).await?;
    let path = token_file(world, &pod)?;
    println!("  the token lies in {}", path.display());
    let thief = client_with(world, &fs::read_to_string(path)?).await?;

    let own = json!({"metadata": {"annotations": {key("kernel"): "forged"}}});
    let label = |name: &str| json!({"metadata": {"labels": {name: "x"}}});
    let taint = json!({"spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}});
    wait::until("a moment after the run has written", async || {
        let code = patch(&thief, NODE, &own).await;
        if code == 200 { Ok(()) } else { Err(anyhow::anyhow!("{code}")) }
    })
    .await?;
    for (node, change, code) in [
        ("other", &own, 422),
        ("other", &label(&key("kernel")), 422),
        (NODE, &label("node-role.kubernetes.io/control-plane"), 422),
        (NODE, &label(&key("opt-out")), 422),
        (NODE, &taint, 422),
        (NODE, &json!({"spec": {"unschedulable": true}}), 422),
        ("absent", &own, 404),
    ] {
        assert_eq!(patch(&thief, node, change).await, code, "{node}: {change}");
    }
    let refused = |result: Result<(), kube::Error>| match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("{other:?}"),
    };
    let list = ListParams::default();
    assert_eq!(refused(Api::<Secret>::all(thief.clone()).list(&list).await.map(drop)), 403);
    assert_eq!(refused(Api::<Node>::all(thief.clone()).list(&list).await.map(drop)), 403);
    assert_eq!(refused(Api::<Pod>::all(thief.clone()).list(&list).await.map(drop)), 403);
    let untouched = nodes.get("other").await?;
    assert!(
        !untouched.annotations().keys().chain(untouched.labels().keys()).any(|it| it.starts_with(&key("")))
    );
    nodes.delete("other", &kube::api::DeleteParams::default()).await?;
    Ok(())
}

/// The image is there and is not asked for elsewhere, and the memory limit is far away.
pub(crate) async fn the_image_is_present_and_memory_suffices(world: &mut World) -> Result<()> {
    let settings = Settings { layout: Layout::Combined, ..settings("default")? };
    let pod = world.lingering_pod(&settings).await?;
    let container = &pod.spec.as_ref().context("no spec")?.containers[0];
    assert_eq!(container.image_pull_policy.as_deref(), Some("IfNotPresent"));
    let events = world.kubectl(&["--namespace=node-annotator", "get", "events", "--output=json"]).await?;
    let events: Value = serde_json::from_str(&events)?;
    let of_pod = |event: &&Value| event["involvedObject"]["uid"].as_str() == pod.uid().as_deref();
    let events: Vec<_> = events["items"].as_array().context("no events")?.iter().filter(of_pod).collect();
    let messages: Vec<_> = events.iter().filter_map(|event| event["message"].as_str()).collect();
    assert!(messages.iter().any(|it| it.contains("already present on machine")), "{messages:#?}");

    let uid = pod.uid().context("no uid")?;
    let limit = container.resources.as_ref().and_then(|it| it.limits.as_ref()).context("no limits")?;
    assert_eq!(limit["memory"].0, "64Mi");
    let peak = world.node.pod_memory_peak(&uid)?;
    let pid = process(world, &pod).await?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().trim();
    println!("  peak of the pod: {} KiB of {} (its process: {resident})", peak / 1024, 64 * MIB / 1024);
    assert!(peak * 3 < 64 * MIB, "{peak}");
    Ok(())
}

async fn patch(client: &Client, node: &str, change: &Value) -> u16 {
    let nodes: Api<Node> = Api::all(client.clone());
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match nodes.patch_metadata(node, &parameters, &Patch::Merge(change)).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("{error}"),
    }
}

/// The pod's only process, once it runs.
async fn process(world: &World, pod: &Pod) -> Result<u32> {
    let uid = pod.uid().context("no uid")?;
    wait::until("the container's process", async || world.node.container_process(&uid)).await
}

/// From its issue to its end.
fn valid_seconds(token: &str) -> Result<i64> {
    let claims = token.split('.').nth(1).context("no token of three parts")?;
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims)?)?;
    let time = |name: &str| claims[name].as_i64().with_context(|| format!("no {name} in {claims}"));
    Ok(time("exp")? - time("iat")?)
}

/// Where the kubelet puts it, on the node.
fn token_file(world: &World, pod: &Pod) -> Result<PathBuf> {
    let uid = pod.uid().context("no uid")?;
    let volumes = format!("/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~projected");
    let volume = fs::read_dir(world.node.path(volumes)?)?.next().context("no projected volume")??;
    // Links in a folder to which all may write are not followed on every machine (`fs.protected_symlinks`):
    // past them.
    let files = fs::read_dir(volume.path())?.flatten().find(|it| it.file_type().is_ok_and(|it| it.is_dir()));
    Ok(files.context("an empty volume")?.path().join("token"))
}

/// A client with somebody's token, and with nothing else of an administrator's.
async fn client_with(world: &World, token: &str) -> Result<Client> {
    let mut kubeconfig = Kubeconfig::read_from(world.cluster().kubeconfig())?;
    for user in &mut kubeconfig.auth_infos {
        let Some(user) = &mut user.auth_info else { continue };
        user.token = Some(token.to_owned().into());
    }
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

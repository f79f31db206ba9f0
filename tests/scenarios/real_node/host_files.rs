//! Files of the host that a node may not have: the pod starts with and without them, and reads the host's.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt as _};
use node_annotator_tests::wait;

use crate::world::{NODE, World, key, set_name, settings};

const COLLECTOR: &str = "os";
const PRIVILEGED: &str = "node-annotator-privileged";
const FILE: &str = "/usr/lib/os-release";

/// The file is there, and no other machine has it.
const PRESENT: &str = "set -e
mkdir -p /run/scenario; echo 'ID=scenario' > /run/scenario/os-release
mount --bind /run/scenario/os-release /usr/lib/os-release";

/// The directory is there, and what leads to the file leads nowhere.
const MISSING: &str = "set -e
mkdir -p /run/scenario; mount -t tmpfs tmpfs /run/scenario; mkdir /run/scenario/upper /run/scenario/work
mount -t overlay overlay -o lowerdir=/usr/lib,upperdir=/run/scenario/upper,workdir=/run/scenario/work /usr/lib
rm /usr/lib/os-release";

pub(crate) async fn a_pod_starts_with_and_without_an_optional_file(world: &mut World) -> Result<()> {
    let archive = [world.cluster().folder().join("image.tar")];
    let without = world.real.add_node("real-without", &archive).await?;
    world.node.run("sh", &["-c", PRESENT])?;
    without.run("sh", &["-c", MISSING])?;
    ensure!(without.run("ls", &[FILE]).is_err(), "the file is still there");

    world.install(&settings(COLLECTOR)?).await?;
    let nodes: Api<Node> = Api::all(world.cluster().client());
    for name in [NODE, without.name()] {
        let check = |node: &Node| {
            let done = node.labels().contains_key(&key(COLLECTOR));
            if done { Ok(()) } else { Err(format!("{:?}", node.annotations())) }
        };
        world.cluster().wait_for_node(name, "its label", check).await?;
    }
    let fact =
        async |name: &str| anyhow::Ok(nodes.get(name).await?.annotations().get(&key(COLLECTOR)).cloned());
    let (present, missing) = (fact(NODE).await?, fact(without.name()).await?);
    assert_eq!(present.as_deref(), Some("scenario"), "the host's file, and not the image's or the machine's");
    assert_eq!(missing, None, "there is nothing to say, and the collector is done");
    world.cluster().wait_until_done(PRIVILEGED, &set_name(COLLECTOR)).await.map(drop)?;

    let set = set_name(COLLECTOR);
    world.kubectl(&["delete", "daemonset", &set, "--namespace", PRIVILEGED, "--wait=true"]).await?;
    wait::until("the last pod to go", async || {
        ensure!(world.cluster().pods(PRIVILEGED).await?.is_empty(), "there are pods");
        Ok(())
    })
    .await?;
    nodes.delete(without.name(), &DeleteParams::default()).await.context("cannot delete the node")?;
    world.node.run("umount", &[FILE]).map(drop)
}

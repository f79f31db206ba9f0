//! Several real nodes on one control plane.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt as _};
use node_annotator_tests::wait;

use crate::world::{NODE, World, key, settings};

pub(crate) async fn three_nodes_run_once_each(world: &mut World) -> Result<()> {
    let before = world.stored().await?.len();
    let archive = [world.cluster().folder().join("image.tar")];
    let second = world.real.add_node("real-2", &archive).await?;
    let third = world.real.add_node("real-3", &archive).await?;
    let names = [NODE, second.name(), third.name()];
    world.install(&settings("kernel")?).await?;
    for name in names {
        let check = |node: &Node| {
            let done = node.labels().contains_key(&key("kernel"));
            if done { Ok(()) } else { Err(format!("{:?}", node.labels())) }
        };
        world.cluster().wait_for_node(name, "its label", check).await?;
    }
    world.wait_until_done("kernel").await?;
    wait::until("the last pod to go", async || {
        ensure!(world.cluster().pods(crate::world::NAMESPACE).await?.is_empty(), "there are pods");
        Ok(())
    })
    .await?;
    let patches = world.stored().await?;
    for name in names {
        let of_node = patches[before..].iter().filter(|patch| patch.is_on_node(name)).count();
        assert_eq!(of_node, 1, "{name}");
    }
    let nodes: Api<Node> = Api::all(world.cluster().client());
    for node in [second, third] {
        nodes.delete(node.name(), &DeleteParams::default()).await?;
    }
    Ok(())
}

//! os-release files: links, places, and what cannot be seen.

use node_annotator_core::{HostRoot, Outcome};

use crate::root::{Root, collector, facts, outcome};

const UBUNTU: &str = "ID=ubuntu\nVERSION_ID=\"24.04\"\n";

#[tokio::test]
async fn a_link_leads_to_the_file_of_the_host() {
    let root =
        Root::new([("host/etc/os-release", "->../usr/lib/os-release"), ("host/usr/lib/os-release", UBUNTU)]);
    // The image's own file is beside the mounts.
    root.write("etc/os-release", "ID=image\n");
    root.write("usr/lib/os-release", "ID=image\n");
    let host = HostRoot::with_files(root.path(), root.path().join("host"));
    let facts = facts(collector("os"), host).await;
    assert_eq!((facts.get(None), facts.get(Some("version-id"))), (Some("ubuntu"), Some("24.04")));
}

#[tokio::test]
async fn the_file_in_etc_goes_before_the_other() {
    let both = Root::new([("etc/os-release", UBUNTU), ("usr/lib/os-release", "ID=debian\n")]);
    assert_eq!(facts(collector("os"), both.host()).await.get(None), Some("ubuntu"));
    let other = Root::new([("etc/hostname", "x"), ("usr/lib/os-release", "ID=debian\n")]);
    assert_eq!(facts(collector("os"), other.host()).await.get(None), Some("debian"));
}

#[tokio::test]
async fn absent_is_told_apart_from_not_visible() {
    let absent =
        Root::new([("host/etc/hostname", "x"), ("host/usr/bin/true", ""), ("etc/os-release", "ID=image\n")]);
    let pod = |root: &Root| HostRoot::with_files(root.path(), root.path().join("host"));
    let reason = "the host has no os-release file";
    assert_eq!(outcome(collector("os"), pod(&absent)).await, Outcome::NotApplicable(reason.to_owned()));
    let dangling = Root::new([("host/etc/os-release", "->../usr/lib/os-release"), ("host/usr/bin/true", "")]);
    assert_eq!(outcome(collector("os"), pod(&dangling)).await, Outcome::NotApplicable(reason.to_owned()));

    // A pod without the mounts, and a system whose `/etc` leads to where nothing is mounted.
    let unmounted = Root::new([("etc/os-release", "ID=image\n")]);
    let nix = Root::new([
        ("host/etc/os-release", "->/nix/store/1-etc/os-release"),
        ("host/nix/store/1-etc/os-release", "ID=nixos\n"),
        ("host/usr/bin/env", ""),
    ]);
    for (root, error) in [
        (unmounted, "cannot read `/etc/os-release`: no files of the host are mounted"),
        (
            nix,
            "cannot read `/etc/os-release`: it leads to `/nix/store/1-etc/os-release`, which is not mounted",
        ),
    ] {
        assert_eq!(outcome(collector("os"), pod(&root)).await.error().as_deref(), Some(error));
    }
}

#[tokio::test]
async fn a_file_without_an_id_is_unknown_and_done() {
    let root = Root::new([("etc/os-release", "NAME=Something\nID=\"\"\n")]);
    let reason = "unknown here: `/etc/os-release` has no `ID`";
    assert_eq!(outcome(collector("os"), root.host()).await, Outcome::Unknown(reason.to_owned()));
}

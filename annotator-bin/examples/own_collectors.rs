//! A binary with a collector of its own, beside those that come with node-annotator.
//!
//! Collectors usually live in a crate of their own; then `main.rs` is `use my_collectors as _;` and the
//! `main` below. Try it: `cargo run --example own_collectors -- --collectors machine-image --dry-run`

use std::process::ExitCode;
use std::time::Duration;

use node_annotator_collectors as _;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Enabled, Fact, Facts, Stability,
};

fn main() -> ExitCode {
    node_annotator::main()
}

/// The machine image that a node was made from.
static MACHINE_IMAGE: Collector = Collector {
    name: "machine-image",
    summary: "Image that the node was made from, as Amazon Linux records it",
    facts: &[
        Fact::primary("name of the image", "al2023-ami-kernel-6.1", Stability::Immutable),
        Fact::named("version", "version of the image", "2023.8.20250715", Stability::Immutable),
    ],
    retired: &[],
    needs: &[],
    variables: &[],
    timeout: Duration::from_secs(5),
    enabled: Enabled::ByDefault,
    collect: Collect::Blocking(collect),
};

node_annotator_core::register!(MACHINE_IMAGE);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    match cx.host.read_if_present("/etc/image-id")? {
        Some(text) => parse(&text).map(Collected::from),
        None => Ok(Collected::not_applicable("there is no `/etc/image-id`")),
    }
}

/// Reads lines such as `image_name="al2023-ami"`.
fn parse(text: &str) -> Result<Facts, CollectError> {
    let field = |name: &str| {
        let mut fields = text.lines().filter_map(|line| line.split_once('='));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"'))
    };
    let name =
        field("image_name").ok_or_else(|| CollectError::new("`/etc/image-id` has no line `image_name`"))?;
    Ok(Facts::new(name).with_some("version", field("image_version")))
}

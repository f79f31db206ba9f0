//! A binary with a collector of its own, beside those that come with node-annotator.
//!
//! Collectors usually live in a crate of their own; then `main.rs` is `use my_collectors as _;` and the
//! `main` below. Try it: `cargo run --example own_collectors -- --collectors machine-image --dry-run`

use std::process::ExitCode;

use node_annotator_collectors as _;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostPath, Need, Stability, Topic,
};

fn main() -> ExitCode {
    node_annotator::main()
}

const IMAGE: Fact = Fact::primary("name of the image", "al2023-ami-kernel-6.1", Stability::Immutable);
const VERSION: Fact = Fact::named("version", "version of the image", "2023.8.20250715", Stability::Immutable);

const PATH: &str = "/etc/image-id";

/// The machine image that a node was made from.
static MACHINE_IMAGE: Collector = Collector::new(
    "machine-image",
    Topic::Cloud,
    "Image that the node was made from, as Amazon Linux records it",
    &[IMAGE, VERSION],
    Collect::Blocking(collect),
)
.needs(&[Need::HostPath(HostPath::optional("/etc", PATH))]);

node_annotator_core::register!(MACHINE_IMAGE);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    match cx.host.text(PATH)? {
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
    Ok(Facts::new(name).with_some(&VERSION, field("image_version")))
}

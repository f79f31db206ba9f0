//! `machine-image`: the image that a node was made from, as Amazon Linux records it in `/etc/image-id`.
//!
//! The `/etc` of a pod is that of its container. So the file is declared, as one that a node may not have:
//! then the directory above it is mounted, which every node has, and the pod starts everywhere.

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostPath, Kind, Need, Stability,
    Topic, register,
};

const IMAGE: Fact = Fact::primary("name of the image", "al2023-ami-kernel-6.1", Stability::Immutable);
const VERSION: Fact = Fact::named("version", "version of the image", "2023.8.20250715", Stability::Immutable)
    .kind(Kind::Version);

const PATH: &str = "/etc/image-id";

/// The collector.
pub static MACHINE_IMAGE: Collector = Collector::new(
    "machine-image",
    Topic::Cloud,
    "Image that the node was made from, as Amazon Linux records it",
    &[IMAGE, VERSION],
    Collect::Blocking(collect),
)
.reads(&[PATH])
.not_applicable("on another system than Amazon Linux")
.needs(&[Need::HostPath(HostPath::optional("/etc", PATH))]);

register!(MACHINE_IMAGE);

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
    let Some(name) = field("image_name") else {
        return Err(CollectError::new("`/etc/image-id` has no line `image_name`"));
    };
    let version = field("image_version").filter(|version| Kind::Version.admits(version));
    Ok(Facts::new(name).with_some(&VERSION, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_needed_and_a_version_is_not() {
        let facts = parse("image_name=\"al2023-ami\"\nimage_file=\"x.qcow2\"\n").unwrap();
        assert_eq!((facts.get(None), facts.get(Some("version"))), (Some("al2023-ami"), None));
        assert_eq!(
            parse("image_version=\"2023\"\n").unwrap_err().chain(),
            "`/etc/image-id` has no line `image_name`"
        );
    }
}

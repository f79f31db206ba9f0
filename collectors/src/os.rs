//! `os`: which operating system the node runs, by its own os-release file.
//!
//! The files are those of the host, never those of the container: `/etc/os-release`, which is mostly a link
//! to `../usr/lib/os-release`, and that one itself where `/etc` has none.

use std::collections::BTreeMap;

use node_annotator_core::context::{HostError, HostText};
use node_annotator_core::label::NfdLabels;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostPath, HostRoot, Kind, Need,
    Stability, Topic, register,
};

use crate::source::os_release;

const ID: Fact = Fact::primary("`ID`: the distribution, in lower case", "ubuntu", Stability::Dynamic);
const VERSION_ID: Fact = Fact::named(
    "version-id",
    "`VERSION_ID`: the version; not there where a distribution rolls",
    "24.04",
    Stability::Dynamic,
);
const PRETTY_NAME: Fact = Fact::named(
    "pretty-name",
    "`PRETTY_NAME`: the name for people; Kubernetes has it as `osImage`",
    "Ubuntu 24.04.1 LTS",
    Stability::Dynamic,
)
.free_text();
const ID_LIKE: Fact = Fact::named(
    "id-like",
    "`ID_LIKE`: distributions that it is like, the nearest first, joined by commas",
    "fedora,centos",
    Stability::Dynamic,
)
.kind(Kind::List);
const VARIANT_ID: Fact =
    Fact::named("variant-id", "`VARIANT_ID`: the edition", "aws-k8s-1.30", Stability::Dynamic);
const CODENAME: Fact =
    Fact::named("codename", "`VERSION_CODENAME`: the version's other name", "noble", Stability::Dynamic);
const IMAGE_ID: Fact =
    Fact::named("image-id", "`IMAGE_ID`: the image that was installed", "site-base", Stability::Dynamic);
const IMAGE_VERSION: Fact =
    Fact::named("image-version", "`IMAGE_VERSION`: the version of that image", "33", Stability::Dynamic);
const BUILD_ID: Fact =
    Fact::named("build-id", "`BUILD_ID`: the build that was installed", "3f2b1c9a", Stability::Dynamic);
const SUPPORT_END: Fact = Fact::named(
    "support-end",
    "`SUPPORT_END`: the day when support ends, YYYY-MM-DD",
    "2032-05-31",
    Stability::Dynamic,
);

/// The variables that a fact is made of as they are.
const AS_TOLD: [(&Fact, &str); 8] = [
    (&VERSION_ID, "VERSION_ID"),
    (&PRETTY_NAME, "PRETTY_NAME"),
    (&VARIANT_ID, "VARIANT_ID"),
    (&CODENAME, "VERSION_CODENAME"),
    (&IMAGE_ID, "IMAGE_ID"),
    (&IMAGE_VERSION, "IMAGE_VERSION"),
    (&BUILD_ID, "BUILD_ID"),
    (&SUPPORT_END, "SUPPORT_END"),
];

/// In the order in which os-release(5) has them read.
const PATHS: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// The collector.
pub static OS: Collector = Collector::new(
    "os",
    Topic::System,
    "Operating system of the node, by the host's os-release file",
    &[
        ID,
        VERSION_ID,
        PRETTY_NAME,
        ID_LIKE,
        VARIANT_ID,
        CODENAME,
        IMAGE_ID,
        IMAGE_VERSION,
        BUILD_ID,
        SUPPORT_END,
    ],
    Collect::Blocking(collect),
)
.reads(&PATHS)
.not_applicable("without an os-release file")
// Every node has `/etc` and `/usr`; `/usr/lib` is missing on some, where the pod would not start.
.needs(&[
    Need::HostPath(HostPath::optional("/etc", PATHS[0])),
    Need::HostPath(HostPath::optional("/usr", PATHS[1])),
])
.nfd(NfdLabels {
    names: &[
        "system-os_release.ID",
        "system-os_release.VERSION_ID",
        "system-os_release.VERSION_ID.major",
        "system-os_release.VERSION_ID.minor",
    ],
    value: nfd_value,
})
.on_request();

register!(OS);

/// The release as Node Feature Discovery has it in labels.
fn nfd_value(name: &str, facts: &Facts) -> Option<String> {
    let version = facts.get(Some("version-id"));
    let number = |place| {
        let number = version?.split('.').nth(place)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| number.to_owned())
    };
    match name {
        "system-os_release.ID" => facts.get(None).map(str::to_owned),
        "system-os_release.VERSION_ID" => version.map(str::to_owned),
        "system-os_release.VERSION_ID.major" => number(0),
        _ => number(0).and_then(|_| number(1)),
    }
}

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let Some((path, text)) = read(&cx.host)? else {
        return Ok(Collected::not_applicable("the host has no os-release file"));
    };
    let variables = os_release::parse(&text);
    Ok(match facts(&variables) {
        Some(facts) => facts.into(),
        None => Collected::unknown(format!("`{path}` has no `ID`")),
    })
}

/// The first file that is there. One that cannot be seen may be there: the next would not be what counts.
fn read(host: &HostRoot) -> Result<Option<(&'static str, HostText)>, HostError> {
    for path in PATHS {
        if let Some(text) = host.text(path)? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

fn facts(variables: &BTreeMap<&str, String>) -> Option<Facts> {
    let told = |name| variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let like = told("ID_LIKE").map(|list| list.split_whitespace().collect::<Vec<_>>().join(","));
    let facts = Facts::new(told("ID")?).with_some(&ID_LIKE, like);
    Some(AS_TOLD.iter().fold(facts, |facts, (fact, name)| facts.with_some(fact, told(name))))
}

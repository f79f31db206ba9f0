//! Which cloud the machine belongs to, told without a network.

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;

use super::dmi;

const CMDLINE_PATH: &str = "/proc/cmdline";

/// A cloud, and what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) provider: &'static str,
    /// The source and the name in it: `dmi:sys_vendor`, `cmdline:talos.platform`.
    pub(crate) evidence: &'static str,
}

/// How a string of DMI is compared, in whatever case.
enum Is {
    Text(&'static str),
    Prefix(&'static str),
    Suffix(&'static str),
}

/// A string of DMI with its evidence, and the clouds that write their names into it.
struct Rules {
    name: &'static str,
    evidence: &'static str,
    clouds: &'static [(Is, &'static str)],
}

/// In the order in which they are read: most machines are told by the first string.
///
/// A vendor's name alone is not enough where others sell machines of it: Azure and any Hyper-V have
/// `Microsoft Corporation`, Oracle's cloud and `VirtualBox` have Oracle's, and so the tag of the chassis
/// counts.
const DMI: [Rules; 5] = [
    Rules {
        name: "sys_vendor",
        evidence: "dmi:sys_vendor",
        clouds: &[
            (Is::Text("Amazon EC2"), "aws"),
            (Is::Text("DigitalOcean"), "digital-ocean"),
            (Is::Text("Hetzner"), "hetzner"),
            (Is::Text("Vultr"), "vultr"),
            (Is::Text("Linode"), "linode"),
            (Is::Text("Akamai"), "linode"),
            (Is::Text("Scaleway"), "scaleway"),
            (Is::Text("UpCloud"), "upcloud"),
            (Is::Text("NWCS"), "nwcs"),
        ],
    },
    Rules {
        name: "product_name",
        evidence: "dmi:product_name",
        clouds: &[
            (Is::Text("Google Compute Engine"), "gcp"),
            (Is::Text("Google"), "gcp"),
            (Is::Text("OpenStack Nova"), "openstack"),
            (Is::Text("OpenStack Compute"), "openstack"),
            (Is::Text("Alibaba Cloud ECS"), "alibaba"),
            (Is::Prefix("Exoscale"), "exoscale"),
            (Is::Prefix("CloudStack"), "cloudstack"),
            (Is::Text("CloudSigma"), "cloudsigma"),
        ],
    },
    Rules {
        name: "chassis_asset_tag",
        evidence: "dmi:chassis_asset_tag",
        clouds: &[
            (Is::Text("7783-7084-3265-9085-8269-3286-77"), "azure"),
            (Is::Text("OracleCloud.com"), "oracle"),
            (Is::Text("OpenTelekomCloud"), "openstack"),
            (Is::Text("SAP CCloud VM"), "openstack"),
            (Is::Text("HUAWEICLOUD"), "openstack"),
            (Is::Text("Samsung Cloud Platform"), "openstack"),
            (Is::Text("OpenStack Nova"), "openstack"),
            (Is::Text("OpenStack Compute"), "openstack"),
        ],
    },
    Rules {
        name: "chassis_vendor",
        evidence: "dmi:chassis_vendor",
        clouds: &[(Is::Prefix("IBM:Cloud Compute Server"), "ibm")],
    },
    // Instances on Xen, whose other strings are those of Xen.
    Rules { name: "bios_version", evidence: "dmi:bios_version", clouds: &[(Is::Suffix(".amazon"), "aws")] },
];

/// Boot parameters by which images for several clouds are told where they run.
const PLATFORM_PARAMETERS: [(&str, &str); 2] =
    [("ignition.platform.id", "cmdline:ignition.platform.id"), ("talos.platform", "cmdline:talos.platform")];

/// Words that clouds put on the command line of machines whose firmware is somebody else's.
const WORDS: [(&str, &str, &str); 2] =
    [("vultr", "vultr", "cmdline:vultr"), ("scaleway", "scaleway", "cmdline:scaleway")];

/// Names of platforms in those parameters.
const PLATFORMS: [(&str, &str); 21] = [
    ("akamai", "linode"),
    ("aliyun", "alibaba"),
    ("aws", "aws"),
    ("azure", "azure"),
    ("cloudsigma", "cloudsigma"),
    ("cloudstack", "cloudstack"),
    ("digital-ocean", "digital-ocean"),
    ("digitalocean", "digital-ocean"),
    ("ec2", "aws"),
    ("exoscale", "exoscale"),
    ("gce", "gcp"),
    ("gcp", "gcp"),
    ("hcloud", "hetzner"),
    ("hetzner", "hetzner"),
    ("ibmcloud", "ibm"),
    ("openstack", "openstack"),
    ("oracle", "oracle"),
    ("oraclecloud", "oracle"),
    ("scaleway", "scaleway"),
    ("upcloud", "upcloud"),
    ("vultr", "vultr"),
];

/// What [`identify`] may read, and the service that is asked then.
pub(crate) const fn sources<const N: usize>(urls: &[&'static str]) -> [&'static str; N] {
    let mut sources = [CMDLINE_PATH; N];
    let mut at = 0;
    while at < N {
        sources[at] = if at < LOCAL.len() { LOCAL[at] } else { urls[at - LOCAL.len()] };
        at += 1;
    }
    sources
}

/// What [`identify`] may read.
pub(crate) const LOCAL: [&str; 6] = [
    "/sys/class/dmi/id/sys_vendor",
    "/sys/class/dmi/id/product_name",
    "/sys/class/dmi/id/chassis_asset_tag",
    "/sys/class/dmi/id/chassis_vendor",
    "/sys/class/dmi/id/bios_version",
    CMDLINE_PATH,
];

/// The cloud, if something names one. A source that cannot be seen is an error, unless one before it has said
/// enough.
pub(crate) fn identify(host: &HostRoot) -> Result<Option<Identity>, HostError> {
    for rules in &DMI {
        if let Some(identity) = dmi::read(host, rules.name)?.and_then(|text| rules.find(&text)) {
            return Ok(Some(identity));
        }
    }
    Ok(host.text(CMDLINE_PATH)?.and_then(|text| of_cmdline(&text)))
}

impl Rules {
    fn find(&self, text: &str) -> Option<Identity> {
        let (_, provider) = self.clouds.iter().find(|(is, _)| is.matches(text))?;
        Some(Identity { provider, evidence: self.evidence })
    }
}

impl Is {
    fn matches(&self, text: &str) -> bool {
        let part = |part: Option<&str>, name: &str| part.is_some_and(|part| part.eq_ignore_ascii_case(name));
        match self {
            Self::Text(name) => text.eq_ignore_ascii_case(name),
            Self::Prefix(name) => part(text.get(..name.len()), name),
            Self::Suffix(name) => {
                part(text.len().checked_sub(name.len()).and_then(|at| text.get(at..)), name)
            }
        }
    }
}

fn of_cmdline(text: &str) -> Option<Identity> {
    // What stands behind `--` is for init.
    let words = || text.split_ascii_whitespace().take_while(|word| *word != "--");
    for word in words() {
        let Some((name, value)) = word.split_once('=') else { continue };
        let Some((_, evidence)) = PLATFORM_PARAMETERS.iter().find(|(known, _)| *known == name) else {
            continue;
        };
        // Another platform, such as `metal` or `qemu`, is no cloud.
        let (_, provider) = PLATFORMS.iter().find(|(known, _)| *known == value)?;
        return Some(Identity { provider, evidence });
    }
    let known = |word| WORDS.iter().find(|(known, ..)| *known == word);
    words().find_map(known).map(|(_, provider, evidence)| Identity { provider, evidence })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_dmi(name: &str, text: &str) -> Option<&'static str> {
        let rules = DMI.iter().find(|rules| rules.name == name)?;
        rules.find(text).map(|identity| identity.provider)
    }

    #[test]
    fn firmware_names_the_cloud_and_not_only_its_maker() {
        for (name, text, provider) in [
            ("sys_vendor", "Amazon EC2", Some("aws")),
            ("sys_vendor", "amazon ec2", Some("aws")),
            ("sys_vendor", "Microsoft Corporation", None),
            ("sys_vendor", "Google", None),
            ("sys_vendor", "Hetzner Online", None),
            ("product_name", "Google Compute Engine", Some("gcp")),
            ("product_name", "Exoscale Compute Platform", Some("exoscale")),
            ("product_name", "exo", None),
            ("product_name", "exoscalé", None),
            ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", Some("azure")),
            ("chassis_asset_tag", "OracleCloud.com", Some("oracle")),
            ("chassis_vendor", "IBM:Cloud Compute Server 1.0:cx2-2x4", Some("ibm")),
            ("bios_version", "4.11.amazon", Some("aws")),
            ("bios_version", "amazon", None),
            ("bios_version", "4.11\u{e9}amazon", None),
        ] {
            assert_eq!(of_dmi(name, text), provider, "{name}: {text}");
        }
    }

    #[test]
    fn the_command_line_names_the_platform_of_an_image() {
        for (text, identity) in [
            ("ro ignition.platform.id=gcp quiet", Some(("gcp", "cmdline:ignition.platform.id"))),
            ("talos.platform=hcloud", Some(("hetzner", "cmdline:talos.platform"))),
            ("root=/dev/sda1 vultr", Some(("vultr", "cmdline:vultr"))),
            ("initrd=initrd showopts scaleway nousb", Some(("scaleway", "cmdline:scaleway"))),
            ("talos.platform=metal vultr", None),
            ("ignition.platform.id=", None),
            ("hostname=vultr x.talos.platform=aws", None),
            ("quiet -- vultr talos.platform=aws", None),
            ("", None),
        ] {
            let found = of_cmdline(text).map(|identity| (identity.provider, identity.evidence));
            assert_eq!(found, identity, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_compared_without_a_panic(text in "\\PC*") {
            let _ = (DMI.each_ref().map(|rules| rules.find(&text)), of_cmdline(&text));
        }
    }
}

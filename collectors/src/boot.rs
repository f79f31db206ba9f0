//! `boot`: when and how the node was booted.
//!
//! How its initrd was made is left out: a pod sees no image, and words of a command line are no evidence.

use jiff::Timestamp;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Kind, Stability, Topic, register,
};

use crate::source::cmdline;
use crate::source::list::is_plain;

const TIME: Fact = Fact::primary(
    "hour of the boot in UTC: the kernel works the time out anew whenever its clock is set, so that minutes would differ from \
     look to look",
    "2025-11-25T09Z",
    Stability::PerBoot,
)
.unique();
const ROOT: Fact = Fact::named(
    "root",
    "how the command line names the root file system: `uuid`, `label`, `partuuid`, `partlabel`, `device`, `mapper`, `nfs`, \
     `zfs`, `initramfs` (it has no other); `ostree` and `verity` where one of these is above it; `other`",
    "uuid",
    Stability::PerBoot,
);
const CONSOLE: Fact = Fact::named(
    "console",
    "consoles of the command line without their options, in order, joined by commas; the last one is `/dev/console`",
    "tty1,ttyS0",
    Stability::PerBoot,
)
.kind(Kind::List);

/// The collector.
pub static BOOT: Collector = Collector::new(
    "boot",
    Topic::System,
    "When and how the node was booted",
    &[TIME, ROOT, CONSOLE],
    Collect::Blocking(collect),
)
.reads(&[STAT_PATH, cmdline::PATH])
.on_request();

register!(BOOT);

const STAT_PATH: &str = "/proc/stat";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let stat = cx.host.read(STAT_PATH)?;
    let Some(hour) = boot_seconds(&stat).and_then(hour) else {
        return Err(
            CollectError::new(format!("`{STAT_PATH}` does not tell when the node was booted")).malformed()
        );
    };
    let text = cx.host.text(cmdline::PATH);
    let told = |part: fn(&[String]) -> Option<String>| {
        text.clone().map(|text| part(&cmdline::parameters(&text?).collect::<Vec<_>>()))
    };
    Ok(Facts::new(hour)
        .with_read(&ROOT, told(|parameters| root(parameters).map(str::to_owned)))
        .with_read(&CONSOLE, told(consoles))
        .into())
}

/// Of the line `btime 1764061726`: seconds since 1970.
fn boot_seconds(stat: &str) -> Option<i64> {
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

fn hour(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds).ok().filter(|_| seconds > 0)?.to_string();
    Some(format!("{}Z", time.split(':').next()?))
}

/// The kind of the root file system; never its name, which may be unique or an address.
fn root(parameters: &[String]) -> Option<&'static str> {
    let last = |name: &str| {
        parameters
            .iter()
            .map(|word| cmdline::assignment(word))
            .rfind(|(other, _)| other == name)
            .map(|(_, value)| value)
    };
    if last("ostree").is_some() {
        return Some("ostree");
    }
    if ["roothash", "systemd.verity_root_data", "verity.usrhash", "usrhash"]
        .iter()
        .any(|name| last(name).is_some())
        || last("dm_mod.create").is_some_and(|table| table.contains("verity"))
    {
        return Some("verity");
    }
    let Some(root) = last("root") else { return last("rdinit").map(|_| "initramfs") };
    let starts = [
        ("UUID=", "uuid"),
        ("LABEL=", "label"),
        ("PARTUUID=", "partuuid"),
        ("PARTLABEL=", "partlabel"),
        ("/dev/disk/by-uuid/", "uuid"),
        ("/dev/disk/by-label/", "label"),
        ("/dev/disk/by-partuuid/", "partuuid"),
        ("/dev/disk/by-partlabel/", "partlabel"),
        ("/dev/mapper/", "mapper"),
        ("/dev/dm-", "mapper"),
        ("/dev/nfs", "nfs"),
        ("nfs", "nfs"),
        ("/dev/", "device"),
        ("ZFS=", "zfs"),
        ("zfs", "zfs"),
    ];
    let kind = starts.iter().find(|(start, _)| root.starts_with(start));
    Some(kind.map_or("other", |(_, kind)| *kind))
}

/// `ttyS0` of `console=ttyS0,115200n8`.
fn consoles(parameters: &[String]) -> Option<String> {
    let assignments = parameters.iter().map(|word| cmdline::assignment(word));
    let values = assignments.filter(|(name, _)| name == "console").map(|(_, value)| value);
    let names = values.map(|value| value.split(',').next().unwrap_or_default());
    let is_name = |name: &&str| is_plain(name);
    let names: Vec<_> = names.filter(is_name).collect();
    (!names.is_empty()).then(|| names.join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parameters(text: &str) -> Vec<String> {
        cmdline::parameters(text).collect()
    }

    #[test]
    fn the_time_is_told_to_the_hour() {
        assert_eq!(boot_seconds("cpu  1 2 3\nintr 5\nbtime 1764061726\nprocesses 9\n"), Some(1_764_061_726));
        assert_eq!(hour(1_764_061_726).as_deref(), Some("2025-11-25T09Z"));
        assert_eq!(hour(1_764_061_200), hour(1_764_064_799));
        assert_eq!(boot_seconds("btime soon\nnobtime 1"), None);
        for seconds in [0, -1, i64::MAX] {
            assert_eq!(hour(seconds), None);
        }
    }

    #[test]
    fn roots_are_told_by_their_kind() {
        for (cmdline, kind) in [
            ("root=UUID=2f1c ro", Some("uuid")),
            ("root=/dev/vda1 root=LABEL=cloudimg-rootfs", Some("label")),
            ("root=/dev/mapper/rhel-root", Some("mapper")),
            ("root=/dev/nfs nfsroot=10.0.0.1:/srv", Some("nfs")),
            ("root=nfs4:10.0.0.1:/srv", Some("nfs")),
            ("root=ZFS=rpool/ROOT", Some("zfs")),
            ("root=live:http://u:p@host/x", Some("other")),
            ("root=UUID=1 ostree=/ostree/boot.1/fedora-coreos/0", Some("ostree")),
            ("root=/dev/dm-0 dm-mod.create=\"root,,,ro,0 1884160 verity 1 PARTUUID=1\"", Some("verity")),
            ("mount.usr=/dev/mapper/usr verity.usrhash=abc root=LABEL=ROOT", Some("verity")),
            ("rdinit=/init console=ttyS0", Some("initramfs")),
            ("quiet -- root=/dev/vda", None),
        ] {
            assert_eq!(root(&parameters(cmdline)), kind, "{cmdline}");
        }
    }

    #[test]
    fn consoles_lose_their_options() {
        let told = |cmdline| consoles(&parameters(cmdline));
        assert_eq!(told("console=tty1 console=ttyS0,115200n8").as_deref(), Some("tty1,ttyS0"));
        assert_eq!(told("console= console=null console=a:b"), Some("null".to_owned()));
        assert_eq!(told("quiet"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|(console=|root=|btime |[a-z0-9]{0,3}|,| |\n){0,9}") {
            let parameters = parameters(&text);
            let _ = root(&parameters);
            prop_assert!(consoles(&parameters).is_none_or(|list| Kind::List.admits(&list)));
            let _ = boot_seconds(&text).and_then(hour);
        }
    }
}

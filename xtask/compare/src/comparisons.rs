//! Which fields of the other programs tell a fact of ours, and how they spell it.

use std::collections::{BTreeMap, BTreeSet};

use crate::said::Fields;

/// A fact, and what tells it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) program: &'static str,
    pub(crate) fact: &'static str,
    /// The fields that tell it; `*` stands for a number or another name.
    pub(crate) fields: &'static [&'static str],
    /// The fact in our spelling; `None` where the program does not tell. Ours comes in for lists that are a
    /// choice of theirs; it is empty where there is none.
    pub(crate) theirs: fn(&Fields, &str) -> Option<String>,
}

macro_rules! same {
    ($program:literal, $fact:literal, $field:literal) => {
        Told {
            program: $program,
            fact: $fact,
            fields: &[$field],
            theirs: |fields, _| Some(each_once(fields.get($field)?)),
        }
    };
}

const fn told(
    program: &'static str,
    fact: &'static str,
    fields: &'static [&'static str],
    theirs: fn(&Fields, &str) -> Option<String>,
) -> Told {
    Told { program, fact, fields, theirs }
}

pub(crate) const TOLD: &[Told] = &[
    same!("lscpu", "cpu-model", "Model name"),
    same!("lscpu", "cpu-model.vendor", "Vendor ID"),
    same!("lscpu", "cpu-model.family", "CPU family"),
    same!("lscpu", "cpu-model.model-id", "Model"),
    same!("lscpu", "cpu-model.stepping", "Stepping"),
    same!("lscpu", "cpu-model.sockets", "Socket(s)"),
    same!("lscpu", "cpu-model.threads-per-core", "Thread(s) per core"),
    told("lscpu", "cpu-model.cores", &["Core(s) per socket"], |fields, _| {
        let numbers = |name: &str| -> Option<Vec<u32>> {
            fields.get(name)?.lines().map(|line| line.parse().ok()).collect()
        };
        let (cores, sockets) = (numbers("Core(s) per socket")?, numbers("Socket(s)")?);
        Some(cores.iter().zip(sockets).map(|(cores, sockets)| cores * sockets).sum::<u32>().to_string())
    }),
    told("lscpu", "cpu-features", &["Flags"], |fields, ours| {
        let flags: BTreeSet<_> = fields.get("Flags")?.split_whitespace().collect();
        let both: Vec<_> = ours.split(',').filter(|flag| flags.contains(flag)).collect();
        Some(if both.is_empty() { "none".to_owned() } else { both.join(",") })
    }),
    told("lscpu", "cpu-features.hw-virt", &["Virtualization"], |fields, _| {
        Some(match fields.get("Virtualization")?.as_str() {
            "VT-x" => "vmx".to_owned(),
            "AMD-V" => "svm".to_owned(),
            other => other.to_owned(),
        })
    }),
    told("lscpu", "cpu-cache", &["L2", "L3"], |fields, _| {
        let last = ["L4", "L3", "L2"].iter().find_map(|level| fields.get(*level))?;
        Some(last.split(' ').next()?.to_owned())
    }),
    told("lscpu", "cpu-cache.instances", &[], |fields, _| {
        let last = ["L4", "L3", "L2"].iter().find_map(|level| fields.get(*level))?;
        Some(instances(last)?.1.to_string())
    }),
    told("lscpu", "cpu-cache-levels", &["L1d", "L1i", "L1"], |fields, _| {
        let levels = ["L1", "L1d", "L1i", "L2", "L3", "L4"].iter();
        let sizes = levels.filter_map(|level| {
            let (bytes, count) = instances(fields.get(*level)?)?;
            Some(format!("{level}={}", quantity(bytes / count)))
        });
        non_empty(sizes.collect::<Vec<_>>().join(","))
    }),
    told("lscpu", "cpu-frequency", &["CPU max MHz"], |fields, _| {
        Some(fields.get("CPU max MHz")?.split('.').next()?.to_owned())
    }),
    told("lscpu", "cpu-frequency.boost", &["Frequency boost"], |fields, _| {
        Some((fields.get("Frequency boost")? == "enabled").to_string())
    }),
    told("lscpu", "cpu-vulnerabilities", &["Vulnerability *"], |fields, _| {
        let states = below(fields, "Vulnerability ").collect::<Vec<_>>();
        let open = states.iter().filter(|(_, state)| {
            ["Vulnerable", "KVM: Vulnerable", "Processor vulnerable"]
                .iter()
                .any(|word| state.starts_with(word))
        });
        let names: BTreeSet<_> = open.map(|(name, _)| name.to_lowercase().replace(' ', "_")).collect();
        (!states.is_empty()).then(|| list(names))
    }),
    told("lscpu", "virt", &["Hypervisor vendor"], |fields, _| {
        Some(match fields.get("Hypervisor vendor")?.to_lowercase().as_str() {
            "phyp" => "powervm".to_owned(),
            other => other.to_owned(),
        })
    }),
    same!("lscpu", "numa", "NUMA node(s)"),
    told("lscpu", "numa-topology", &["NUMA * CPU(s)"], |fields, _| {
        let nodes = below(fields, "NUMA node").filter_map(|(name, cpus)| {
            Some((name.strip_suffix(" CPU(s)")?.parse::<u32>().ok()?, ranges(cpus)))
        });
        nodes_of(nodes.collect())
    }),
    same!("uname", "kernel", "release"),
    same!("uname", "kernel.build", "version"),
    same!("getconf", "memory", "PAGESIZE"),
    told("numactl", "numa", &["available"], |fields, _| {
        Some(fields.get("available")?.split(' ').next()?.to_owned())
    }),
    told("numactl", "numa-topology", &["node * cpus"], |fields, _| {
        nodes_of(of_nodes(fields, " cpus", |cpus| Some(ranges(cpus))))
    }),
    told("numactl", "numa-topology.memory-mib", &["node * size"], |fields, _| {
        nodes_of(of_nodes(fields, " size", |size| Some(size.strip_suffix(" MB")?.to_owned())))
    }),
    told("numactl", "numa-topology.distances", &["node * distances"], |fields, _| {
        let rows =
            of_nodes(fields, " distances", |row| Some(row.split_whitespace().collect::<Vec<_>>().join(",")));
        non_empty(rows.into_values().collect::<Vec<_>>().join(";"))
    }),
    told("lsmem", "memory.installed-bytes", &["Total online memory", "Total offline memory"], |fields, _| {
        let number = |name: &str| fields.get(name)?.parse::<u64>().ok();
        Some((number("Total online memory")? + number("Total offline memory")?).to_string())
    }),
    told("swapon", "memory.swap", &["areas"], |fields, _| {
        let areas = fields.get("areas")?.split(';').filter_map(|area| {
            let (name, kind) = area.split_once(' ')?;
            Some(if name.contains("/zram") { "zram" } else { kind })
        });
        Some(list(areas.map(str::to_owned).collect()))
    }),
    same!("lsblk", "disk", "count"),
    told("lsblk", "disk.total-bytes", &["*.size"], |fields, _| {
        let sizes = each(fields, "size").map(|size| size.parse::<u64>().unwrap_or_default());
        Some(sizes.sum::<u64>()).filter(|bytes| *bytes > 0).map(|bytes| bytes.to_string())
    }),
    told("lsblk", "disk-inventory", &["*.model"], |fields, _| {
        let count: usize = fields.get("count")?.parse().ok()?;
        let named: Vec<_> = each(fields, "model").cloned().collect();
        let unknown = vec!["unknown".to_owned(); count - named.len()];
        Some(counts(named.into_iter().chain(unknown)))
    }),
    told("lsblk", "disk-inventory.sizes", &[], |fields, _| known_counts(each(fields, "size"))),
    told("lsblk", "disk-inventory.schedulers", &["*.sched"], |fields, _| known_counts(each(fields, "sched"))),
    told("lsblk", "disk-inventory.sector-bytes", &["*.log-sec"], |fields, _| {
        known_counts(each(fields, "log-sec"))
    }),
    told("lspci", "nic", &["*.Vendor", "*.Device", "*.Class"], |fields, _| {
        Some(counts(pci(
            fields,
            |class| class.starts_with("02"),
            |vendor, device, _| format!("{vendor}:{device}"),
        )))
    }),
    told("lspci", "pci", &[], |fields, _| {
        Some(counts(pci(fields, |class| !class.starts_with("06"), |vendor, _, _| vendor.to_owned())))
    }),
    told("lspci", "pci.classes", &[], |fields, _| {
        Some(counts(pci(fields, |class| !class.starts_with("06"), |_, _, class| class.to_owned())))
    }),
    told("lsusb", "usb", &["*.id"], |fields, _| Some(counts(each(fields, "id").cloned()))),
    told("ethtool", "network-interfaces.drivers", &["*.driver"], |fields, _| {
        let drivers = fields
            .iter()
            .filter_map(|(name, driver)| Some(format!("{}={driver}", name.strip_suffix(".driver")?)));
        non_empty(drivers.collect::<Vec<_>>().join(","))
    }),
    told("ethtool", "nic.drivers", &[], |fields, _| {
        let drivers = fields.iter().filter(|(name, _)| name.ends_with(".driver"));
        Some(list(drivers.map(|(_, driver)| driver.clone()).collect()))
    }),
    same!("systemd-detect-virt", "virt", "vm"),
    same!("dmidecode", "dmi", "System Information.Product Name"),
    same!("dmidecode", "dmi.sys-vendor", "System Information.Manufacturer"),
    same!("dmidecode", "dmi.bios-version", "BIOS Information.Version"),
    same!("dmidecode", "dmi-inventory", "Base Board Information.Product Name"),
    same!("dmidecode", "dmi-inventory.board-vendor", "Base Board Information.Manufacturer"),
    same!("dmidecode", "dmi-inventory.board-version", "Base Board Information.Version"),
    same!("dmidecode", "dmi-inventory.product-family", "System Information.Family"),
    same!("dmidecode", "dmi-inventory.product-sku", "System Information.SKU Number"),
    same!("dmidecode", "dmi-inventory.product-version", "System Information.Version"),
    same!("dmidecode", "dmi-inventory.bios-vendor", "BIOS Information.Vendor"),
    same!("dmidecode", "dmi-inventory.bios-release", "BIOS Information.BIOS Revision"),
    told("dmidecode", "dmi-inventory.bios-date", &["BIOS Information.Release Date"], |fields, _| {
        day(fields.get("BIOS Information.Release Date")?)
    }),
    same!("sysctl", "limits", "vm.max_map_count"),
    same!("sysctl", "limits.threads-max", "kernel.threads-max"),
    same!("sysctl", "limits.pid-max", "kernel.pid_max"),
    same!("sysctl", "limits.inotify-instances", "fs.inotify.max_user_instances"),
    same!("sysctl", "limits.inotify-watches", "fs.inotify.max_user_watches"),
    told("sysctl", "kernel.fips", &["crypto.fips_enabled"], |fields, _| {
        Some((fields.get("crypto.fips_enabled")? == "1").to_string())
    }),
    same!("facter", "kernel", "kernelrelease"),
    told("facter", "cpu-model", &["processors.models.*"], |fields, _| {
        let models: BTreeSet<_> =
            below(fields, "processors.models.").map(|(_, model)| model.clone()).collect();
        non_empty(models.into_iter().collect::<Vec<_>>().join(" + "))
    }),
    same!("facter", "cpu-model.sockets", "processors.physicalcount"),
    same!("facter", "cpu-model.threads-per-core", "processors.threads"),
    told("facter", "cpu-model.cores", &["processors.cores"], |fields, _| {
        let number = |name: &str| fields.get(name)?.parse::<u32>().ok();
        Some((number("processors.cores")? * number("processors.physicalcount")?).to_string())
    }),
    told("facter", "os", &["os.name"], |fields, _| Some(fields.get("os.name")?.to_lowercase())),
    told("facter", "os.version-id", &["os.release.full", "os.release.major"], |fields, ours| {
        let full = fields.get("os.release.full")?;
        let major = fields.get("os.release.major");
        Some(if major.is_some_and(|major| major == ours) { ours } else { full }.to_owned())
    }),
    same!("facter", "os.codename", "os.distro.codename"),
    same!("facter", "os.pretty-name", "os.distro.description"),
    told("facter", "virt", &["virtual"], |fields, _| {
        Some(
            match fields.get("virtual")?.as_str() {
                "physical" => "none",
                "gce" => "google",
                "hyperv" => "microsoft",
                other => other,
            }
            .to_owned(),
        )
    }),
    same!("facter", "kernel.fips", "fips_enabled"),
    told("facter", "disk", &["disks.*.size_bytes"], |fields, _| {
        let sizes = below(fields, "disks.").filter(|(name, _)| name.ends_with(".size_bytes"));
        Some(sizes.count().to_string())
    }),
    same!("facter", "dmi", "dmi.product.name"),
    same!("facter", "dmi.sys-vendor", "dmi.manufacturer"),
    same!("facter", "dmi.bios-version", "dmi.bios.version"),
    same!("facter", "dmi-inventory", "dmi.board.product"),
    same!("facter", "dmi-inventory.board-vendor", "dmi.board.manufacturer"),
    same!("facter", "dmi-inventory.bios-vendor", "dmi.bios.vendor"),
    told("facter", "dmi-inventory.bios-date", &["dmi.bios.release_date"], |fields, _| {
        day(fields.get("dmi.bios.release_date")?)
    }),
    same!("ohai", "cpu-model", "0.model_name"),
    same!("ohai", "cpu-model.vendor", "0.vendor_id"),
    same!("ohai", "cpu-model.family", "0.family"),
    same!("ohai", "cpu-model.model-id", "0.model"),
    same!("ohai", "cpu-model.stepping", "0.stepping"),
    same!("ohai", "cpu-model.sockets", "real"),
    same!("ohai", "cpu-model.cores", "cores"),
    same!("ohai", "kernel", "kernel.release"),
    same!("osqueryi", "cpu-model", "0.cpu_brand"),
    same!("osqueryi", "cpu-model.sockets", "0.cpu_sockets"),
    same!("osqueryi", "cpu-model.cores", "0.cpu_physical_cores"),
    same!("osqueryi", "cpu-model.microcode", "0.cpu_microcode"),
    same!("osqueryi", "dmi", "0.hardware_model"),
    same!("osqueryi", "dmi.sys-vendor", "0.hardware_vendor"),
    same!("osqueryi", "dmi-inventory", "0.board_model"),
    same!("osqueryi", "dmi-inventory.board-vendor", "0.board_vendor"),
];

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// What is said of several kinds of CPUs, as we spell several models.
fn each_once(text: &str) -> String {
    text.lines().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" + ")
}

fn list(words: BTreeSet<String>) -> String {
    non_empty(words.into_iter().collect::<Vec<_>>().join(",")).unwrap_or_else(|| "none".to_owned())
}

/// Fields that begin so, with the rest of their names.
fn below<'a>(fields: &'a Fields, start: &'a str) -> impl Iterator<Item = (&'a str, &'a String)> {
    fields.iter().filter_map(move |(name, value)| Some((name.strip_prefix(start)?, value)))
}

/// The field of that name in each entry of a list.
fn each<'a>(fields: &'a Fields, field: &'a str) -> impl Iterator<Item = &'a String> {
    let is_it = move |name: &str| name.split_once('.').is_some_and(|(_, rest)| rest == field);
    fields.iter().filter(move |(name, _)| is_it(name)).map(|(_, value)| value)
}

fn counts(words: impl Iterator<Item = String>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    list(counts.into_iter().map(|(word, count)| format!("{word}={count}")).collect())
}

/// The counts, where there is something to count.
fn known_counts<'a>(words: impl Iterator<Item = &'a String>) -> Option<String> {
    Some(counts(words.cloned())).filter(|counts| counts != "none")
}

/// What is to be said of each PCI device of a class.
fn pci(
    fields: &Fields,
    is_of: fn(&str) -> bool,
    say: fn(&str, &str, &str) -> String,
) -> impl Iterator<Item = String> + use<'_> {
    let slots = fields.keys().filter_map(|name| name.strip_suffix(".Slot"));
    slots.filter_map(move |slot| {
        let field = |name: &str| fields.get(&format!("{slot}.{name}"));
        let (vendor, device, class) = (field("Vendor")?, field("Device")?, field("Class")?);
        is_of(class).then(|| say(vendor, device, class))
    })
}

/// `65536 (2 instances)`.
fn instances(text: &str) -> Option<(u64, u64)> {
    let (bytes, count) = text.lines().next()?.split_once(" (")?;
    Some((bytes.parse().ok()?, count.split(' ').next()?.parse().ok().filter(|count| *count > 0)?))
}

fn quantity(bytes: u64) -> String {
    match bytes {
        bytes if bytes > 0 && bytes % (1 << 20) == 0 => format!("{}Mi", bytes >> 20),
        bytes if bytes > 0 && bytes % (1 << 10) == 0 => format!("{}Ki", bytes >> 10),
        bytes => bytes.to_string(),
    }
}

/// Numbers and ranges, with spaces or commas between them, as the kernel writes lists of CPUs.
fn ranges(text: &str) -> String {
    let mut cpus = BTreeSet::new();
    for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            cpus.extend(first..=last);
        }
    }
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => ranges.push((cpu, cpu)),
        }
    }
    let texts = ranges.iter().map(
        |(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        },
    );
    texts.collect::<Vec<_>>().join(",")
}

/// `node 0 cpus` by the number of the node.
fn of_nodes(fields: &Fields, end: &str, read: fn(&str) -> Option<String>) -> BTreeMap<u32, String> {
    let nodes = below(fields, "node ")
        .filter_map(|(name, value)| Some((name.strip_suffix(end)?.parse().ok()?, read(value)?)));
    nodes.collect()
}

fn nodes_of(nodes: BTreeMap<u32, String>) -> Option<String> {
    let texts = nodes.into_iter().map(|(node, text)| format!("{node}={text}"));
    non_empty(texts.collect::<Vec<_>>().join(";"))
}

/// `10/24/2023`, as DMI has days.
fn day(text: &str) -> Option<String> {
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{year}-{month}-{day}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_put_together() {
        assert_eq!(ranges("0,1"), "0-1");
        assert_eq!(ranges("0 1 2 8"), "0-2,8");
        assert_eq!(ranges("0-3,8-9"), "0-3,8-9");
        assert_eq!(ranges(""), "");
    }

    #[test]
    fn sizes_are_of_one_cache() {
        assert_eq!(instances("1048576 (2 instances)"), Some((1_048_576, 2)));
        assert_eq!(instances("1048576"), None);
        assert_eq!(instances("8 (1 instance)\n8"), Some((8, 1)));
        assert_eq!(quantity(512 << 10), "512Ki");
        assert_eq!(quantity(3 << 19), "1536Ki");
    }

    #[test]
    fn several_models_are_joined_as_ours() {
        assert_eq!(each_once("Cortex-A72\nCortex-A53"), "Cortex-A53 + Cortex-A72");
        assert_eq!(each_once("1\n1"), "1");
    }

    #[test]
    fn days_and_counts() {
        assert_eq!(day("10/24/2023").as_deref(), Some("2023-10-24"));
        assert_eq!(counts(["b", "a", "b"].into_iter().map(str::to_owned)), "a=1,b=2");
        assert_eq!(counts(std::iter::empty()), "none");
    }
}

//! What the other programs print, as fields.

use std::collections::BTreeMap;

use serde_json::Value;

/// Fields by name. Of a list each entry has its number in the name, as `0.vendor`.
pub(crate) type Fields = BTreeMap<String, String>;

/// A line.
pub(crate) fn line(name: &str, text: &str) -> Option<Fields> {
    let line = text.trim();
    (!line.is_empty()).then(|| [(name.to_owned(), line.to_owned())].into())
}

/// `name: value` in each line.
pub(crate) fn colons(text: &str) -> Option<Fields> {
    separated(text, ':')
}

/// `name = value` in each line.
pub(crate) fn equals(text: &str) -> Option<Fields> {
    separated(text, '=')
}

fn separated(text: &str, separator: char) -> Option<Fields> {
    let pairs = text.lines().filter_map(|line| line.split_once(separator));
    let fields: Fields =
        pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
    (!fields.is_empty()).then_some(fields)
}

/// JSON, with dots between the names of what lies inside of another.
pub(crate) fn json(text: &str) -> Option<Fields> {
    let mut fields = Fields::new();
    flatten("", &serde_json::from_str(text).ok()?, &mut fields);
    (!fields.is_empty()).then_some(fields)
}

fn flatten(name: &str, value: &Value, fields: &mut Fields) {
    let below = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Object(parts) => parts.iter().for_each(|(part, value)| flatten(&below(part), value, fields)),
        Value::Array(parts) => {
            parts.iter().enumerate().for_each(|(n, value)| flatten(&below(&n.to_string()), value, fields));
        }
        Value::Null => {}
        Value::String(text) => drop(fields.insert(name.to_owned(), text.trim().to_owned())),
        other => drop(fields.insert(name.to_owned(), other.to_string())),
    }
}

/// One attribute of ohai: an array of one text.
pub(crate) fn ohai_text(text: &str) -> Option<Fields> {
    let texts: Vec<String> = serde_json::from_str(text).ok()?;
    line("kernel.release", texts.first()?)
}

/// The fields of `lscpu -J`; newer versions put some below others, and shorten names there. What is said of
/// several kinds of CPUs has a line for each.
pub(crate) fn lscpu(text: &str) -> Option<Fields> {
    fn add(entries: &Value, fields: &mut Fields) {
        for entry in entries.as_array().into_iter().flatten() {
            if let (Some(name), Some(data)) = (entry["field"].as_str(), entry["data"].as_str()) {
                let name = name.trim_end_matches(':').trim_end_matches(" cache");
                fields
                    .entry(name.to_owned())
                    .and_modify(|said| {
                        said.push('\n');
                        said.push_str(data);
                    })
                    .or_insert_with(|| data.to_owned());
            }
            add(&entry["children"], fields);
        }
    }
    let mut fields = Fields::new();
    add(&serde_json::from_str::<Value>(text).ok()?["lscpu"], &mut fields);
    (!fields.is_empty()).then_some(fields)
}

/// The nodes, their CPUs and memory, and the rows of distances.
pub(crate) fn numactl(text: &str) -> Option<Fields> {
    let (facts, distances) = text.split_once("node distances:").unwrap_or((text, ""));
    let mut fields = colons(facts)?;
    for row in distances.lines() {
        if let Some((node, distances)) = row.split_once(':') {
            fields.insert(format!("node {} distances", node.trim()), distances.trim().to_owned());
        }
    }
    Some(fields)
}

/// No line is an answer too: nothing is swapped to.
pub(crate) fn swapon(text: &str) -> Option<Fields> {
    let lines: Vec<_> = text.lines().collect();
    let all = if lines.is_empty() { "none".to_owned() } else { lines.join(";") };
    line("areas", &all)
}

/// The disks in the sense that the collectors have: what holds data, and neither goes nor is made up.
pub(crate) fn lsblk(text: &str) -> Option<Fields> {
    let Value::Object(mut parsed) = serde_json::from_str(text).ok()? else { return None };
    let is_one = |device: &&Value| {
        let number = |name: &str| device[name].as_u64().unwrap_or_default();
        let flag = |name: &str| device[name].as_bool().unwrap_or_default() || device[name] == "1";
        let name = device["name"].as_str().unwrap_or_default();
        let made_up =
            ["loop", "zram", "ram", "nbd", "rbd", "fd", "md"].iter().any(|kind| name.starts_with(kind));
        device["type"] == "disk" && number("size") > 0 && !flag("rm") && !flag("ro") && !made_up
    };
    let devices = parsed.remove("blockdevices")?;
    let disks: Vec<Value> = devices.as_array()?.iter().filter(is_one).cloned().collect();
    let mut fields = Fields::from([("count".to_owned(), disks.len().to_string())]);
    flatten("", &Value::Array(disks), &mut fields);
    Some(fields)
}

/// Records with an empty line between them.
pub(crate) fn lspci(text: &str) -> Option<Fields> {
    let mut fields = Fields::new();
    for (number, record) in text.split("\n\n").filter(|record| !record.trim().is_empty()).enumerate() {
        let named = colons(record)?.into_iter();
        fields.extend(named.map(|(name, value)| (format!("{number}.{name}"), value)));
    }
    (!fields.is_empty()).then_some(fields)
}

/// `Bus 001 Device 002: ID 0529:0001 Name`, hubs of the kernel left out.
pub(crate) fn lsusb(text: &str) -> Option<Fields> {
    let ids = text.lines().filter_map(|line| line.split_once("ID ")?.1.split_whitespace().next());
    let ids = ids.filter(|id| !id.starts_with("1d6b:")).enumerate();
    let fields: Fields = ids.map(|(number, id)| (format!("{number}.id"), id.to_owned())).collect();
    (!fields.is_empty()).then_some(fields)
}

/// `Section.Name` of each value; only the first of several sections of one name.
pub(crate) fn dmidecode(text: &str) -> Option<Fields> {
    let mut fields = Fields::new();
    let mut section = String::new();
    for line in text.lines() {
        if !line.starts_with(char::is_whitespace) {
            line.trim().clone_into(&mut section);
        } else if let Some((name, value)) = line.split_once(':')
            && !value.trim().is_empty()
        {
            let name = format!("{section}.{}", name.trim());
            fields.entry(name).or_insert_with(|| value.trim().to_owned());
        }
    }
    (!fields.is_empty()).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_lscpu_read_the_same() {
        let old = r#"{"lscpu":[{"field":"L1d cache:","data":"65536 (2 instances)"}]}"#;
        let new = r#"{"lscpu":[{"field":"Caches (sum of all):","data":null,
            "children":[{"field":"L1d:","data":"65536 (2 instances)"}]}]}"#;
        assert_eq!(lscpu(old), lscpu(new));
        assert_eq!(lscpu(old).unwrap()["L1d"], "65536 (2 instances)");
        assert_eq!(lscpu("lscpu: failed"), None);
        let mixed = r#"{"lscpu":[{"field":"Model:","data":"4"},{"field":"Model:","data":"2"}]}"#;
        assert_eq!(lscpu(mixed).unwrap()["Model"], "4\n2");
    }

    #[test]
    fn numactl_says_distances() {
        let text = "available: 2 nodes (0-1)\nnode 0 cpus: 0 1\nnode 0 size: 24105 MB\nnode distances:\nnode   0   1\n  \
                    0:  10  20 \n  1:  20  10 \n";
        let fields = numactl(text).unwrap();
        assert_eq!(fields["node 0 cpus"], "0 1");
        assert_eq!(fields["node 1 distances"], "20  10");
    }

    #[test]
    fn what_is_no_disk_is_not_counted() {
        let text = r#"{"blockdevices":[
            {"name":"zram0","type":"disk","size":4096,"rm":false,"ro":false},
            {"name":"sr0","type":"rom","size":4096,"rm":true,"ro":false},
            {"name":"vdb","type":"disk","size":4096,"rm":false,"ro":true},
            {"name":"vda","type":"disk","size":512,"rm":false,"ro":false,"model":null,"log-sec":512}]}"#;
        let fields = lsblk(text).unwrap();
        assert_eq!(fields["count"], "1");
        assert_eq!(fields["0.name"], "vda");
    }

    #[test]
    fn sections_of_dmidecode() {
        let text = "BIOS Information\n\tVendor: Dell Inc.\n\tCharacteristics:\n\t\tPCI is supported\n\nSystem Information\n\
                    \tProduct Name: PowerEdge R750\n";
        let fields = dmidecode(text).unwrap();
        assert_eq!(fields["BIOS Information.Vendor"], "Dell Inc.");
        assert_eq!(fields["System Information.Product Name"], "PowerEdge R750");
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn records_of_lspci_and_lsusb() {
        let fields =
            lspci("Slot:\t00:00.0\nClass:\t0600\n\nSlot:\t00:03.0\nClass:\t0200\nDriver:\tvirtio-pci\n\n");
        assert_eq!(fields.unwrap()["1.Driver"], "virtio-pci");
        let fields =
            lsusb("Bus 001 Device 001: ID 1d6b:0002 hub\nBus 001 Device 002: ID 0529:0001 Token\n").unwrap();
        assert_eq!(fields, Fields::from([("0.id".to_owned(), "0529:0001".to_owned())]));
    }

    #[test]
    fn json_is_flattened() {
        let fields = json(r#"{"os":{"name":"Debian"},"models":["a","b"],"fips":false}"#).unwrap();
        assert_eq!((&*fields["os.name"], &*fields["models.1"], &*fields["fips"]), ("Debian", "b", "false"));
        assert_eq!(json("error"), None);
    }
}

//! GPUs and accelerators as Node Feature Discovery has them in labels: its defaults publish display
//! controllers, co-processors and processing accelerators, of whatever maker; of these makers we do.

use node_annotator_core::Facts;
use node_annotator_core::label::NfdLabels;

/// AMD, NVIDIA, Habana, Intel.
pub(super) const LABELS: NfdLabels = NfdLabels {
    names: &[
        "pci-0300_1002.present",
        "pci-0300_10de.present",
        "pci-0300_8086.present",
        "pci-0302_1002.present",
        "pci-0302_10de.present",
        "pci-0302_8086.present",
        "pci-0380_1002.present",
        "pci-0380_10de.present",
        "pci-0380_8086.present",
        "pci-0b40_8086.present",
        "pci-1200_1002.present",
        "pci-1200_10de.present",
        "pci-1200_1da3.present",
        "pci-1200_8086.present",
    ],
    value,
};

fn value(name: &str, facts: &Facts) -> Option<String> {
    let class = name.strip_prefix("pci-")?.strip_suffix(".present")?;
    let mut classes = facts.get(Some("accelerators"))?.split(',');
    classes.any(|found| found == class).then(|| "true".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::ACCELERATORS;
    use super::*;

    #[test]
    fn what_is_there_is_told() {
        let facts = Facts::new("1").with(&ACCELERATORS, "0302_10de,0b40_8086,1200_1e52");
        let told: Vec<_> = LABELS.names.iter().filter(|name| value(name, &facts).is_some()).collect();
        assert_eq!(told, [&"pci-0302_10de.present", &"pci-0b40_8086.present"]);
    }
}

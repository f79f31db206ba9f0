//! What x86 processors are, as Node Feature Discovery has it in labels. On other architectures it tells
//! numbers that say nothing, and we tell none.

use node_annotator_core::Facts;
use node_annotator_core::label::NfdLabels;

pub(super) const LABELS: NfdLabels = NfdLabels {
    names: &[
        "cpu-cpuid.X86_64_V1",
        "cpu-cpuid.X86_64_V2",
        "cpu-cpuid.X86_64_V3",
        "cpu-cpuid.X86_64_V4",
        "cpu-model.family",
        "cpu-model.id",
        "cpu-model.vendor_id",
    ],
    value,
};

fn value(name: &str, facts: &Facts) -> Option<String> {
    if let Some(level) = name.strip_prefix("cpu-cpuid.X86_64_V") {
        let highest = facts.get(Some("isa-level"))?.strip_prefix("x86-64-v")?;
        return (level <= highest).then(|| "true".to_owned());
    }
    let vendor = match facts.get(Some("vendor"))? {
        "GenuineIntel" => "Intel",
        "AuthenticAMD" => "AMD",
        "HygonGenuine" => "Hygon",
        _ => return None,
    };
    match name {
        "cpu-model.family" => facts.get(Some("family")).map(str::to_owned),
        "cpu-model.id" => facts.get(Some("model-id")).map(str::to_owned),
        _ => Some(vendor.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FAMILY, ISA_LEVEL, MODEL_ID, VENDOR};
    use super::*;

    fn told(facts: &Facts) -> Vec<(&'static str, String)> {
        LABELS.names.iter().filter_map(|name| Some((*name, value(name, facts)?))).collect()
    }

    #[test]
    fn levels_contain_the_lower_ones_and_vendors_have_other_names() {
        let facts = Facts::new("any")
            .with(&VENDOR, "AuthenticAMD")
            .with(&FAMILY, 25)
            .with(&MODEL_ID, 1)
            .with(&ISA_LEVEL, "x86-64-v2");
        let expected = [
            ("cpu-cpuid.X86_64_V1", "true"),
            ("cpu-cpuid.X86_64_V2", "true"),
            ("cpu-model.family", "25"),
            ("cpu-model.id", "1"),
            ("cpu-model.vendor_id", "AMD"),
        ];
        assert_eq!(told(&facts), expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(told(&Facts::new("Neoverse-N1").with(&VENDOR, "ARM").with(&MODEL_ID, "0xd0c")), []);
    }
}

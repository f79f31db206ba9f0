//! Differences that are right, and why.

/// A difference, and why both are right, or the other one wrong.
struct Explained {
    program: &'static str,
    fact: &'static str,
    /// Whether this is that difference: ours first.
    is_it: fn(&str, &str) -> bool,
    reason: &'static str,
}

const EXPLAINED: &[Explained] = &[
    Explained {
        program: "lscpu",
        fact: "cpu-cache-levels",
        // An average, which is no size that a cache has.
        is_it: |_, theirs| theirs.split(',').any(|size| size.ends_with(|end: char| end.is_ascii_digit())),
        reason: "lscpu prints the sum alone, and ours are the caches of the first CPU: in a hybrid processor those of its cores differ",
    },
    Explained {
        program: "lscpu",
        fact: "cpu-model.model-id",
        is_it: |ours, _| ours.starts_with("0x"),
        reason: "of Arm, lscpu takes the revision for the model, and ours is the part, which the revision is of",
    },
    Explained {
        program: "lscpu",
        fact: "cpu-model",
        is_it: |ours, theirs| theirs.strip_prefix(ours).is_some_and(|rest| rest == ", altivec supported"),
        reason: "of POWER, lscpu takes the line as it is, with the mark of a feature behind the model",
    },
    Explained {
        program: "lscpu",
        fact: "cpu-model.vendor",
        is_it: |ours, theirs| (ours, theirs) == ("IBM", "IBM/S390"),
        reason: "of s390x, lscpu prints architecture and maker",
    },
    Explained {
        program: "lscpu",
        fact: "virt",
        is_it: |ours, theirs| (ours, theirs) == ("none", "ibm"),
        reason: "lscpu counts PR/SM, which every machine of s390x has; ours counts what runs on it, as systemd-detect-virt does",
    },
    Explained {
        program: "lscpu",
        fact: "virt",
        is_it: |ours, theirs| theirs == "kvm" && matches!(ours, "amazon" | "google" | "qemu"),
        reason: "lscpu asks the CPU alone, and firmware tells more, as to systemd-detect-virt",
    },
    Explained {
        program: "lscpu",
        fact: "numa-topology",
        is_it: |ours, theirs| {
            let with_cpus: Vec<_> = ours.split(';').filter(|node| !node.ends_with('=')).collect();
            with_cpus.join(";") == theirs
        },
        reason: "lscpu leaves out nodes that have memory and no CPUs",
    },
];

/// Why they differ.
pub(crate) fn explanation(program: &str, fact: &str, ours: &str, theirs: &str) -> Option<&'static str> {
    let is_it = |explained: &&Explained| {
        explained.program == program && explained.fact == fact && (explained.is_it)(ours, theirs)
    };
    EXPLAINED.iter().find(is_it).map(|explained| explained.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_that_difference_is_explained() {
        let of = |fact, ours, theirs| explanation("lscpu", fact, ours, theirs).is_some();
        assert!(of("numa-topology", "0=;2=0-3", "2=0-3"));
        assert!(!of("numa-topology", "0=;2=0-3", "2=0-2"));
        assert!(!of("numa", "1", "2"));
        assert!(of("cpu-cache-levels", "L1d=48Ki,L3=12Mi", "L1d=38229,L3=12Mi"));
        assert!(!of("cpu-cache-levels", "L1d=48Ki,L3=12Mi", "L1d=32Ki,L3=12Mi"));
        assert!(explanation("numactl", "numa-topology", "0=;2=0-3", "2=0-3").is_none());
    }
}

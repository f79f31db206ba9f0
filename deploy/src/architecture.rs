//! Architectures of nodes, under the names that Kubernetes has for them.

use std::str::FromStr;

use crate::Error;

/// The architectures of Linux nodes, as kubelets call them, and what else each is called.
const ARCHITECTURES: [(&str, &[&str]); 13] = [
    ("386", &["i386", "i686", "x86"]),
    ("amd64", &["x86_64", "x86-64", "x64"]),
    ("arm", &["armhf", "armv6l", "armv7", "armv7l"]),
    ("arm64", &["aarch64", "armv8"]),
    ("loong64", &["loongarch64"]),
    ("mips", &[]),
    ("mips64", &[]),
    ("mips64le", &["mips64el"]),
    ("mipsle", &["mipsel"]),
    ("ppc64", &["powerpc64"]),
    ("ppc64le", &["powerpc64le", "ppc64el"]),
    ("riscv64", &["riscv64gc"]),
    ("s390x", &[]),
];

/// An architecture, as kubelets call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Architecture(&'static str);

impl Architecture {
    /// The value of the label `kubernetes.io/arch`.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some((name, _)) = ARCHITECTURES.iter().find(|(name, _)| *name == text) {
            return Ok(Self(name));
        }
        let lower = text.to_ascii_lowercase();
        let meant =
            ARCHITECTURES.iter().find(|(name, others)| *name == lower || others.contains(&lower.as_str()));
        let reason = match meant {
            Some((name, _)) => format!("Kubernetes calls it `{name}`"),
            None => format!("valid: {}", ARCHITECTURES.map(|(name, _)| name).join(", ")),
        };
        Err(Error::Refused { what: "architecture", value: text.to_owned(), reason })
    }
}

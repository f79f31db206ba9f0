//! Which boot the node is in.

use std::fmt;

/// A UUID that the kernel picks at random when it starts; Kubernetes has it as `status.nodeInfo.bootID`.
pub(super) const PATH: &str = "/proc/sys/kernel/random/boot_id";

/// The beginning of a node's boot id: enough to tell two boots of a node apart, and too little to know the
/// node by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootId(String);

impl BootId {
    /// Its length: that of the first group of a UUID.
    pub const BYTES: usize = 8;

    /// The beginning of a UUID as the kernel prints it; `None` for any other text.
    pub fn parse(uuid: &str) -> Option<Self> {
        let groups: Vec<&str> = uuid.split('-').collect();
        let is_uuid = groups.iter().map(|group| group.len()).eq([Self::BYTES, 4, 4, 4, 12])
            && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit());
        is_uuid.then(|| Self(groups[0].to_ascii_lowercase()))
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_id_is_the_beginning_of_a_uuid() {
        let of = |text| BootId::parse(text).map(|id| id.to_string());
        assert_eq!(of("1BD2A6f4-8f0e-4a7b-9d53-0c2b6f1e7a90").as_deref(), Some("1bd2a6f4"));
        for text in [
            "",
            "1bd2a6f4",
            "1bd2a6f48f0e4a7b9d530c2b6f1e7a90",
            "1bd2a6fg-8f0e-4a7b-9d53-0c2b6f1e7a90",
            "1bd2a6f4-8f0e-4a7b-9d53-0c2b6f1e7a90-0",
            "1bd2a6f48-f0e-4a7b-9d53-0c2b6f1e7a90",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}

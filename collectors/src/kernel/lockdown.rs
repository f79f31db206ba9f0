//! Kernel lockdown, as far as a process without privileges can tell: the file that says it is in securityfs,
//! which a pod does not have.

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;

use crate::source::{choice, cmdline as source};

/// The ways to hibernate, the one in force in brackets: `[platform] shutdown`, or `[disabled]`.
pub(super) const HIBERNATION_PATH: &str = "/sys/power/disk";

/// What is known of the lockdown; `None` if nothing is.
pub(super) fn lockdown(host: &HostRoot) -> Result<Option<&'static str>, HostError> {
    let hibernation = host.line(HIBERNATION_PATH)?;
    let cmdline = host.text(source::PATH)?;
    Ok(told(hibernation.as_deref().unwrap_or_default(), cmdline.as_deref().unwrap_or_default()))
}

/// Each lockdown forbids to hibernate, so that a kernel that allows it has none, whatever it was asked for.
/// The other way round, hibernation is disabled for more reasons than that.
fn told(hibernation: &str, cmdline: &str) -> Option<&'static str> {
    if choice::chosen(hibernation).is_some_and(|way| way != "disabled") {
        return Some("none");
    }
    // The kernel takes the last one.
    let asked = source::parameters(cmdline).filter(|word| source::assignment(word).0 == "lockdown").last()?;
    ["integrity", "confidentiality"].into_iter().find(|mode| *mode == source::assignment(&asked).1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_kernel_that_can_hibernate_is_not_locked_down() {
        for (hibernation, cmdline, lockdown) in [
            ("[platform] shutdown reboot suspend test_resume", "quiet", Some("none")),
            ("[shutdown] reboot", "lockdown=integrity lsm=apparmor", Some("none")),
            ("[disabled]", "lockdown=integrity", Some("integrity")),
            ("", "lockdown=integrity lockdown=confidentiality", Some("confidentiality")),
            ("[disabled]", "quiet", None),
            ("", "lockdown=other", None),
            ("", "quiet -- lockdown=integrity", None),
        ] {
            assert_eq!(told(hibernation, cmdline), lockdown, "{hibernation} {cmdline}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(hibernation in "\\PC*", cmdline in "\\PC*|lockdown=\\PC*") {
            let _ = told(&hibernation, &cmdline);
        }
    }
}

//! The devices of a bus, by what the kernel tells of each in its `uevent`: one file for identity, class and
//! driver.

use std::io;

use node_annotator_core::HostRoot;
use node_annotator_core::context::{HostError, HostText};

/// A device of a bus.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    /// The name that it has on its bus, such as `0000:41:00.0`, `virtio0` or `1-14.4`.
    pub(crate) name: String,
    uevent: HostText,
}

impl Device {
    /// A variable of the device, unless it is empty.
    pub(crate) fn get(&self, variable: &str) -> Option<&str> {
        get(&self.uevent, variable)
    }

    /// The driver that is bound to it.
    pub(crate) fn driver(&self) -> Option<&str> {
        self.get("DRIVER")
    }
}

/// A variable of a `uevent` file.
fn get<'a>(uevent: &'a str, variable: &str) -> Option<&'a str> {
    let mut lines = uevent.lines().filter_map(|line| line.split_once('='));
    let (_, value) = lines.find(|(name, _)| *name == variable)?;
    Some(value).filter(|value| !value.is_empty())
}

/// Where the devices of a bus are.
pub(crate) fn path(bus: &str) -> String {
    format!("/sys/bus/{bus}/devices")
}

/// The devices of a bus, in order of name; none where the kernel knows no such bus. Those that go away while
/// they are read are left out.
pub(crate) fn devices(host: &HostRoot, bus: &str) -> Result<Option<Vec<Device>>, HostError> {
    let path = path(bus);
    let Some(names) = host.list(&path)? else { return Ok(None) };
    let mut devices = Vec::with_capacity(names.len());
    for name in names {
        devices.extend(device(host, bus, &name)?);
    }
    Ok(Some(devices))
}

/// A device of a bus; none if it has gone away.
pub(crate) fn device(host: &HostRoot, bus: &str, name: &str) -> Result<Option<Device>, HostError> {
    let uevent = host.text(&format!("{}/{name}/uevent", path(bus)))?;
    Ok(uevent.map(|uevent| Device { name: name.to_owned(), uevent }))
}

/// Where the link of a device leads, which tells what it is behind; none if it has gone away.
pub(crate) fn target(host: &HostRoot, path: &str) -> Result<Option<String>, HostError> {
    let Some(target) = host.link(path)? else { return Ok(None) };
    if target.contains("/devices/") {
        return Ok(Some(target));
    }
    let error = io::Error::new(io::ErrorKind::InvalidData, "it is no link to a device");
    Err(HostError::broken(path, error))
}

#[cfg(test)]
impl Device {
    /// A device with this `uevent`.
    pub(crate) fn new(name: &str, uevent: &str) -> Self {
        Self { name: name.to_owned(), uevent: uevent.into() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn variables_are_found_by_their_whole_name() {
        let uevent = "DRIVER=nvme\nPCI_ID=144D:A80A\nEMPTY=\nMODALIAS=a=b\n";
        let names = ["DRIVER", "PCI_ID", "MODALIAS", "EMPTY", "ID"].map(|name| get(uevent, name));
        assert_eq!(names, [Some("nvme"), Some("144D:A80A"), Some("a=b"), None, None]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|([A-Z]{0,3}=\\PC{0,3}\n){0,4}") {
            prop_assert!(get(&text, "A").is_none_or(|value| !value.is_empty() && !value.contains('\n')));
        }
    }
}

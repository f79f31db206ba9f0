//! `usb`: what is plugged into USB, counted. Serial numbers are not read.

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Kind, Stability, Topic, register,
};

use crate::source::bus::{self, Device};
use crate::source::counts::counts;

const MAX_BYTES: usize = 512;

const DEVICES: Fact = Fact::primary(
    "devices by vendor and product as `lsusb` prints them, with how many of each there are; hubs are not counted; `none` \
     without a device",
    "0529:0001=1",
    Stability::Dynamic,
)
.kind(Kind::List)
.max_bytes(MAX_BYTES);

/// The collector.
pub static USB: Collector =
    Collector::new("usb", Topic::Devices, "Devices on USB", &[DEVICES], Collect::Blocking(collect))
        .reads(&["/sys/bus/usb/devices", "/sys/bus/usb/devices/*/uevent"])
        .not_applicable("on machines without a USB bus")
        .on_request();

register!(USB);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let Some(devices) = bus::devices(&cx.host, "usb")? else {
        return Ok(Collected::not_applicable("the kernel knows no USB: there is no `/sys/bus/usb/devices`"));
    };
    Ok(Facts::new(counts(devices.iter().filter_map(id), MAX_BYTES)).into())
}

/// Vendor and product of what is a device and no hub. The kernel's `PRODUCT` has no leading zeros, and
/// `TYPE` begins with the class.
fn id(device: &Device) -> Option<String> {
    let is_hub = device.get("TYPE").is_some_and(|class| class.starts_with("9/"));
    if device.get("DEVTYPE") != Some("usb_device") || is_hub {
        return None;
    }
    let mut numbers = device.get("PRODUCT")?.split('/').map(|number| u16::from_str_radix(number, 16).ok());
    Some(format!("{:04x}:{:04x}", numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn devices_are_told_from_hubs_and_interfaces() {
        for (uevent, expected) in [
            ("DEVTYPE=usb_device\nPRODUCT=529/1/100\nTYPE=255/0/0\n", Some("0529:0001")),
            ("DEVTYPE=usb_device\nPRODUCT=1d6b/3/606\nTYPE=9/0/3\n", None),
            ("DEVTYPE=usb_interface\nPRODUCT=529/1/100\nTYPE=255/0/0\n", None),
            ("DEVTYPE=usb_device\nPRODUCT=////\n", None),
        ] {
            assert_eq!(id(&Device::new("1-1", uevent)).as_deref(), expected, "{uevent}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|DEVTYPE=usb_device\nPRODUCT=[0-9a-f/+]{0,12}\n") {
            prop_assert!(id(&Device::new("1-1", &text)).is_none_or(|id| id.len() == 9));
        }
    }
}

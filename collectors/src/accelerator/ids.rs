//! Which devices on PCI are accelerators, by class and number.

use crate::source::pci::Device;

const VGA: u32 = 0x0300;
const GPU_WITHOUT_CONSOLE: u32 = 0x0302;
const OTHER_DISPLAY: u32 = 0x0380;
const PROCESSING_ACCELERATOR: u32 = 0x1200;
const CO_PROCESSOR: u32 = 0x0b40;

const AMD: u16 = 0x1002;
const AWS: u16 = 0x1d0f;
const GOOGLE: u16 = 0x1ae0;
const HABANA: u16 = 0x1da3;
const INTEL: u16 = 0x8086;
const NVIDIA: u16 = 0x10de;
const QUALCOMM: u16 = 0x17cb;

/// Display controllers that are the console of a server or of a guest, whatever their number: ASPEED, Matrox,
/// Cirrus, QEMU and Bochs, VMware, virtio, Red Hat's QXL, VirtualBox, Huawei, XGI.
const CONSOLES: [u16; 10] = [0x1a03, 0x102b, 0x1013, 0x1234, 0x15ad, 0x1af4, 0x1b36, 0x80ee, 0x19e5, 0x18ca];
/// The same of Hyper-V.
const HYPERV_CONSOLE: (u16, u16) = (0x1414, 0x5353);

/// Devices that say nothing by their class: Neuron of AWS, TPUs of Google, Cloud AI 100.
const BY_NUMBER: [(u16, u16); 12] = [
    (AWS, 0x7064),
    (AWS, 0x7164),
    (AWS, 0x7264),
    (AWS, 0x7364),
    (GOOGLE, 0x0027),
    (GOOGLE, 0x0056),
    (GOOGLE, 0x005e),
    (GOOGLE, 0x0062),
    (GOOGLE, 0x0063),
    (GOOGLE, 0x006f),
    (QUALCOMM, 0xa080),
    (QUALCOMM, 0xa100),
];

/// Whether a device is a GPU or another accelerator.
pub(super) fn is_card(device: &Device) -> bool {
    let number = (device.vendor, device.product);
    match device.class() {
        VGA | OTHER_DISPLAY => !CONSOLES.contains(&device.vendor) && number != HYPERV_CONSOLE,
        GPU_WITHOUT_CONSOLE | PROCESSING_ACCELERATOR | CO_PROCESSOR => true,
        _ => BY_NUMBER.contains(&number),
    }
}

/// The engine inside of a processor that a device is.
pub(super) fn engine(device: &Device) -> Option<&'static str> {
    match (device.vendor, device.product, device.class()) {
        (INTEL, 0x0b25, _) => Some("dsa"),
        (INTEL, 0x0cfe, _) => Some("iaa"),
        (INTEL, _, CO_PROCESSOR) => Some("qat"),
        _ => None,
    }
}

/// The word for a maker, or its number.
pub(super) fn vendor(number: u16) -> String {
    let word = match number {
        AMD => "amd",
        AWS => "aws",
        GOOGLE => "google",
        HABANA => "habana",
        INTEL => "intel",
        NVIDIA => "nvidia",
        QUALCOMM => "qualcomm",
        0x10ee => "xilinx",
        0x1e52 => "tenstorrent",
        0x1ed2 => "furiosa",
        number => return format!("{number:04x}"),
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, class: &str) -> Device {
        Device::of(&format!("PCI_CLASS={class}\nPCI_ID={id}\n")).unwrap()
    }

    #[test]
    fn cards_are_told_from_consoles_and_engines() {
        for (id, class, is) in [
            ("10DE:2330", "30200", "card"),
            ("10DE:1EB8", "30200", "card"),
            ("1002:74A1", "120000", "card"),
            ("1002:740F", "38000", "card"),
            ("8086:56C0", "38000", "card"),
            ("1DA3:1020", "120000", "card"),
            ("1D0F:7164", "88000", "card"),
            ("1AE0:0063", "FF0000", "card"),
            ("1A03:2000", "30000", "none"),
            ("102B:0536", "30000", "none"),
            ("1234:1111", "30000", "none"),
            ("1414:5353", "30000", "none"),
            ("1AF4:1050", "38000", "none"),
            ("1D0F:EC20", "20000", "none"),
            ("10DE:22A3", "68000", "none"),
            ("8086:0B25", "88000", "dsa"),
            ("8086:0CFE", "88000", "iaa"),
            ("8086:4940", "B4000", "qat"),
        ] {
            let device = device(id, class);
            let found = match engine(&device) {
                Some(word) => word,
                None if is_card(&device) => "card",
                None => "none",
            };
            assert_eq!(found, is, "{id} {class}");
        }
    }

    #[test]
    fn a_maker_without_a_word_is_its_number() {
        assert_eq!([0x10de, 0x1e52, 0x1234].map(vendor), ["nvidia", "tenstorrent", "1234"]);
    }
}

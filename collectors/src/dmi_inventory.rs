//! `dmi-inventory`: what the firmware says of the board, the chassis and itself.
//!
//! Serial numbers, UUIDs and asset tags, which are beside these names, are never read.

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Kind, Stability, Topic, register,
};

use crate::source::dmi;

const BOARD_NAME: Fact = Fact::primary(
    "name of the board; `none` where the firmware holds nothing or a placeholder",
    "H12SSW-NTR",
    Stability::Immutable,
);
const BOARD_VENDOR: Fact =
    Fact::named("board-vendor", "maker of the board", "Supermicro", Stability::Immutable);
const BOARD_VERSION: Fact =
    Fact::named("board-version", "version of the board", "1.02", Stability::Immutable);
const PRODUCT_FAMILY: Fact =
    Fact::named("product-family", "family that the product belongs to", "PowerEdge", Stability::Immutable);
const PRODUCT_SKU: Fact = Fact::named(
    "product-sku",
    "number by which the maker sells the product",
    "SKU=090E;ModelName=PowerEdge R750",
    Stability::Immutable,
);
const PRODUCT_VERSION: Fact =
    Fact::named("product-version", "version of the product", "20171212", Stability::Immutable);
const CHASSIS: Fact = Fact::named(
    "chassis",
    "kind of chassis, such as `rack`, `blade`, `tower`, `main-server`, `desktop` or `other`; `type-N` for those without a \
     word here",
    "rack",
    Stability::Immutable,
);
const BIOS_VENDOR: Fact =
    Fact::named("bios-vendor", "maker of the firmware", "American Megatrends Inc.", Stability::PerBoot);
const BIOS_DATE: Fact = Fact::named(
    "bios-date",
    "day on which the firmware was released, YYYY-MM-DD",
    "2023-10-24",
    Stability::PerBoot,
);
const BIOS_RELEASE: Fact = Fact::named(
    "bios-release",
    "release of the firmware, in the numbering of the maker of its core",
    "5.22",
    Stability::PerBoot,
)
.kind(Kind::Version);
/// The collector.
pub static DMI_INVENTORY: Collector = Collector::new(
    "dmi-inventory",
    Topic::Machine,
    "Board, chassis and release of the firmware, as DMI tells them",
    &[
        BOARD_NAME,
        BOARD_VENDOR,
        BOARD_VERSION,
        PRODUCT_FAMILY,
        PRODUCT_SKU,
        PRODUCT_VERSION,
        CHASSIS,
        BIOS_VENDOR,
        BIOS_DATE,
        BIOS_RELEASE,
    ],
    Collect::Blocking(collect),
)
.reads(&[
    dmi::PATH,
    "/sys/class/dmi/id/board_*",
    "/sys/class/dmi/id/product_*",
    "/sys/class/dmi/id/chassis_type",
    "/sys/class/dmi/id/bios_*",
])
.not_applicable(dmi::WITHOUT)
.on_request();

register!(DMI_INVENTORY);

/// What is told as the firmware has it.
const AS_TOLD: [(&Fact, &str); 6] = [
    (&BOARD_VENDOR, "board_vendor"),
    (&BOARD_VERSION, "board_version"),
    (&PRODUCT_FAMILY, "product_family"),
    (&PRODUCT_SKU, "product_sku"),
    (&PRODUCT_VERSION, "product_version"),
    (&BIOS_VENDOR, "bios_vendor"),
];

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    if !cx.host.exists(dmi::PATH)? {
        return Ok(Collected::not_applicable(dmi::ABSENT));
    }
    let stated = |name| dmi::stated(&cx.host, name);
    let parsed =
        |name, parse: fn(&str) -> Option<String>| stated(name).map(|text| text.and_then(|text| parse(&text)));
    let facts = Facts::new(stated("board_name")?.unwrap_or_else(|| "none".to_owned()));
    let facts = AS_TOLD.iter().fold(facts, |facts, (fact, name)| facts.with_read(fact, stated(name)));
    Ok(facts
        .with_read(&CHASSIS, parsed("chassis_type", chassis))
        .with_read(&BIOS_DATE, parsed("bios_date", date))
        .with_read(&BIOS_RELEASE, parsed("bios_release", release))
        .into())
}

/// The words of the SMBIOS specification for the types that hold nodes. 2 is `Unknown`.
fn chassis(text: &str) -> Option<String> {
    let number: u8 = text.parse().ok()?;
    let word = match number {
        0 | 2 => return None,
        1 => "other",
        3 => "desktop",
        4 => "low-profile-desktop",
        5 => "pizza-box",
        6 => "mini-tower",
        7 => "tower",
        9 => "laptop",
        10 => "notebook",
        13 => "all-in-one",
        17 => "main-server",
        22 => "raid",
        23 => "rack",
        25 => "multi-system",
        28 => "blade",
        29 => "blade-enclosure",
        33 => "iot-gateway",
        34 => "embedded",
        35 => "mini",
        36 => "stick",
        number => return Some(format!("type-{number}")),
    };
    Some(word.to_owned())
}

/// `MM/DD/YYYY`, as the kernel prints it.
fn date(text: &str) -> Option<String> {
    let mut parts = text.split('/').map(|part| {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| is_number)
    });
    let (month, day, year) = (parts.next()??, parts.next()??, parts.next()??);
    let is_date = parts.next().is_none() && (1..=12).contains(&month) && (1..=31).contains(&day);
    (is_date && (1980..=2100).contains(&year)).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// Two numbers, such as `5.22`; 0.0 and 255.255 stand for none.
fn release(text: &str) -> Option<String> {
    let (major, minor) = text.split_once('.')?;
    let (major, minor): (u8, u8) = (major.parse().ok()?, minor.parse().ok()?);
    (!matches!((major, minor), (0, 0) | (255, 255))).then(|| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_told_in_the_order_that_sorts() {
        for (text, expected) in [
            ("10/24/2023", Some("2023-10-24")),
            ("04/01/2014", Some("2014-04-01")),
            ("00/00/0000", None),
            ("13/01/2020", None),
            ("2023-10-24", None),
            ("+1/01/2020", None),
            ("01/01/2020/1", None),
            ("", None),
        ] {
            assert_eq!(date(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn types_of_chassis_and_releases_are_told_unless_they_stand_for_none() {
        for (text, expected) in [
            ("23", Some("rack")),
            ("17", Some("main-server")),
            ("30", Some("type-30")),
            ("2", None),
            ("x", None),
        ] {
            assert_eq!(chassis(text).as_deref(), expected, "{text}");
        }
        for (text, expected) in [("5.22", Some("5.22")), ("255.255", None), ("1", None), ("1.999", None)] {
            assert_eq!(release(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|[0-9/.]{0,12}") {
            prop_assert!(date(&text).is_none_or(|date| date.len() == 10));
            let _ = (chassis(&text), release(&text));
        }
    }
}

//! `dmi`: what the firmware calls the machine.
//!
//! Serial numbers, UUIDs and asset tags, which are beside these names, are never read.

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Stability, Topic, register,
};

use crate::source::dmi;

const PRODUCT_NAME: Fact = Fact::primary(
    "name of the product, as its maker tells it: the type of the instance on some clouds; `none` where the firmware \
     holds nothing or a placeholder",
    "PowerEdge R750",
    Stability::Immutable,
);
const SYS_VENDOR: Fact =
    Fact::named("sys-vendor", "maker of the machine, or the cloud", "Dell Inc.", Stability::Immutable);
const BIOS_VERSION: Fact =
    Fact::named("bios-version", "version of the firmware, BIOS or UEFI", "1.13.2", Stability::PerBoot);

/// The collector.
pub static DMI: Collector = Collector::new(
    "dmi",
    Topic::Machine,
    "Product, maker and firmware version, as DMI tells them",
    &[PRODUCT_NAME, SYS_VENDOR, BIOS_VERSION],
    Collect::Blocking(collect),
)
.reads(&[
    dmi::PATH,
    "/sys/class/dmi/id/product_name",
    "/sys/class/dmi/id/sys_vendor",
    "/sys/class/dmi/id/bios_version",
])
.not_applicable(dmi::WITHOUT);

register!(DMI);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    if !cx.host.exists(dmi::PATH)? {
        return Ok(Collected::not_applicable(dmi::ABSENT));
    }
    let stated = |name| dmi::stated(&cx.host, name);
    Ok(Facts::new(stated("product_name")?.unwrap_or_else(|| "none".to_owned()))
        .with_read(&SYS_VENDOR, stated("sys_vendor"))
        .with_read(&BIOS_VERSION, stated("bios_version"))
        .into())
}

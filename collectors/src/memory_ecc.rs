//! `memory-ecc`: what the memory modules are, and whether they correct errors.
//!
//! Reads `/sys/devices/system/edac/mc`, which a driver for the memory controller fills. Not applicable
//! without such a driver, as in VMs and on many desktops: that says nothing about the modules.

use std::collections::BTreeSet;

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Kind, Stability, Topic,
    register,
};

use crate::source::list::list;

const MODE: Fact = Fact::primary(
    "how errors are corrected, in the words of the EDAC drivers: `SECDED` one bit of a word, `S4ECD4ED` a chip of four bits; \
     `None` for no correction; several sorted and joined by commas",
    "SECDED",
    Stability::PerBoot,
)
.kind(Kind::List);
const KIND: Fact = Fact::named(
    "type",
    "type of the modules, in the words of the EDAC drivers; several sorted and joined by commas",
    "Registered-DDR5",
    Stability::PerBoot,
)
.kind(Kind::List);
const MODULES: Fact = Fact::named(
    "modules",
    "number of modules; not there where the driver counts ranks and not modules, as on AMD",
    "4",
    Stability::PerBoot,
)
.kind(Kind::Number);

/// The collector.
pub static MEMORY_ECC: Collector = Collector::new(
    "memory-ecc",
    Topic::Memory,
    "Error correction and type of the memory modules",
    &[MODE, KIND, MODULES],
    Collect::Blocking(collect),
)
.reads(&[CONTROLLERS, "/sys/devices/system/edac/mc/mc*", "/sys/devices/system/edac/mc/mc*/*/*"])
.not_applicable("where no EDAC driver has found a module, as in VMs")
.on_request();

register!(MEMORY_ECC);

const CONTROLLERS: &str = "/sys/devices/system/edac/mc";

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let modules = modules(&cx.host)?;
    let Some(mode) = set(&cx.host, &modules, "dimm_edac_mode")? else {
        return Ok(Collected::not_applicable(format!(
            "`{CONTROLLERS}` has no memory module: no EDAC driver has found any"
        )));
    };
    let counts_modules = modules.iter().all(|path| path.contains("/dimm"));
    Ok(Facts::new(mode)
        .with_read(&KIND, set(&cx.host, &modules, "dimm_mem_type"))
        .with_some(&MODULES, counts_modules.then_some(modules.len()))
        .into())
}

/// The directories of the modules, or of the ranks, that are not empty.
fn modules(host: &HostRoot) -> Result<Vec<String>, HostError> {
    let mut modules = Vec::new();
    for controller in host.list(CONTROLLERS)?.unwrap_or_default() {
        if !controller.starts_with("mc") {
            continue;
        }
        let directory = format!("{CONTROLLERS}/{controller}");
        for name in host.list(&directory)?.unwrap_or_default() {
            let is_module = ["dimm", "rank"].iter().any(|start| name.starts_with(start));
            if is_module && host.number(&format!("{directory}/{name}/size"))? > Some(0) {
                modules.push(format!("{directory}/{name}"));
            }
        }
    }
    Ok(modules)
}

/// The words that a file has in the modules; `None` if it has none.
fn set(host: &HostRoot, modules: &[String], name: &str) -> Result<Option<String>, HostError> {
    let lines = modules.iter().map(|module| host.line(&format!("{module}/{name}")));
    let words: BTreeSet<_> = lines.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok((!words.is_empty()).then(|| list(words)))
}

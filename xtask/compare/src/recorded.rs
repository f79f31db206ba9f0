//! `lscpu --sysroot` on the recorded machines, beside what we say of them.
//!
//! A recording has what our collectors read, and lscpu reads the same in the kernel's other spelling, bit
//! masks instead of lists. A copy gets those.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::ours;
use crate::said;
use crate::verdict::{Row, rows};

/// The machine whose files make no sense.
const HOSTILE: &str = "hostile";

const CPUS: &str = "sys/devices/system/cpu";
const NODES: &str = "sys/devices/system/node";

#[derive(Debug, Default, Serialize)]
pub(crate) struct Comparison {
    pub(crate) rows: Vec<Row>,
    /// Machines that lscpu says nothing of, and why.
    pub(crate) skipped: Vec<String>,
}

pub(crate) fn compare(collectors: &str) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    if Command::new("lscpu").arg("--version").output().is_err() {
        comparison.skipped.push("all: lscpu is not installed (Debian package: util-linux)".to_owned());
        return Ok(comparison);
    }
    for machine in machines()? {
        let name = machine.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let copy = tempfile::tempdir()?;
        copy_folder(&machine, copy.path())?;
        complete(copy.path())?;
        let output = Command::new("lscpu")
            .args(["-J", "-B", "--sysroot"])
            .arg(copy.path())
            .env("LC_ALL", "C.UTF-8")
            .output()?;
        if let Some(fields) = said::lscpu(&String::from_utf8_lossy(&output.stdout)) {
            let facts = ours::facts(collectors, Some(&machine))?;
            comparison.rows.extend(rows(&name, "lscpu", &fields, &facts));
        } else {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or("no reason");
            let said = said.replace(&*copy.path().to_string_lossy(), "");
            comparison.skipped.push(format!("{name}: {said}"));
        }
    }
    Ok(comparison)
}

fn machines() -> Result<Vec<PathBuf>> {
    let fixtures = xtask_workspace::root().join("collectors/fixtures");
    let entries = fs::read_dir(&fixtures).context("cannot list the recorded machines")?;
    let mut machines: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    machines.retain(|path| path.join("proc/cpuinfo").is_file() && !path.ends_with(HOSTILE));
    machines.sort_unstable();
    Ok(machines)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let status =
        Command::new("cp").args(["-r", "-P", "-T"]).args([from, to]).status().context("cannot start cp")?;
    anyhow::ensure!(status.success(), "cannot copy `{}`", from.display());
    Ok(())
}

/// Adds what lscpu reads and a recording does not have.
fn complete(root: &Path) -> Result<()> {
    let cpus = root.join(CPUS);
    let online = fs::read_to_string(cpus.join("online")).unwrap_or_default();
    for name in ["possible", "present"] {
        fs::write(cpus.join(name), &online).with_context(|| format!("cannot write `{name}`"))?;
    }
    let folders = subfolders(&cpus, "cpu");
    let package = |folder: &Path| fs::read_to_string(folder.join("topology/physical_package_id")).ok();
    for folder in &folders {
        spell(&folder.join("topology/thread_siblings_list"), "thread_siblings")?;
        spell(&folder.join("topology/core_cpus_list"), "thread_siblings")?;
        for index in subfolders(&folder.join("cache"), "index") {
            spell(&index.join("shared_cpu_list"), "shared_cpu_map")?;
        }
        if let Some(id) = package(folder) {
            let of_it = folders.iter().filter(|other| package(other).as_ref() == Some(&id));
            let numbers = of_it.filter_map(|other| number(other, "cpu"));
            fs::write(folder.join("topology/core_siblings"), mask(numbers))?;
        }
    }
    for folder in subfolders(&root.join(NODES), "node") {
        spell(&folder.join("cpulist"), "cpumap")?;
    }
    Ok(())
}

/// Writes a list of CPUs as a mask beside it.
fn spell(list: &Path, name: &str) -> Result<()> {
    let Ok(cpus) = fs::read_to_string(list) else { return Ok(()) };
    let parts = cpus.trim().split(',').filter_map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        Some(from.parse::<u32>().ok()?..=to.parse::<u32>().ok()?)
    });
    let path = list.with_file_name(name);
    fs::write(&path, mask(parts.flatten())).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Groups of 32 bits, the highest first, as the kernel prints them.
fn mask(cpus: impl Iterator<Item = u32>) -> String {
    let mut words = vec![0_u32];
    for cpu in cpus {
        let word = (cpu / 32) as usize;
        words.resize(words.len().max(word + 1), 0);
        words[word] |= 1 << (cpu % 32);
    }
    let texts: Vec<_> = words.iter().rev().map(|word| format!("{word:08x}")).collect();
    texts.join(",") + "\n"
}

fn subfolders(folder: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| number(path, start).is_some()).collect()
}

/// The number behind the start of its name.
fn number(folder: &Path, start: &str) -> Option<u32> {
    folder.file_name()?.to_str()?.strip_prefix(start)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn lscpu_says_what_we_say_of_the_recorded_machines() {
        ours::build().unwrap();
        let comparison = compare(&ours::local_collectors().unwrap()).unwrap();
        for skipped in &comparison.skipped {
            eprintln!("skipped: {skipped}");
        }
        let wrong: Vec<_> = comparison.rows.iter().filter(|row| row.is_wrong()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let agreements = comparison.rows.iter().filter(|row| row.verdict == Verdict::Agreement).count();
        let has_lscpu = comparison.skipped.is_empty();
        assert!(!has_lscpu || agreements > 100, "{agreements} agreements");
    }

    #[test]
    fn masks_are_as_the_kernel_prints_them() {
        assert_eq!(mask([0, 1].into_iter()), "00000003\n");
        assert_eq!(mask([0, 33].into_iter()), "00000002,00000001\n");
    }
}

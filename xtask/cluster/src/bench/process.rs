//! What one process costs: time, page faults, memory, threads, instructions.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// Peaks are looked for in this many runs.
const PEAK_RUNS: usize = 5;

/// A program with all that it is started with; the environment of this process is no part of that.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(String, OsString)>,
}

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) wall: f64,
    pub(super) user: f64,
    pub(super) system: f64,
    pub(super) faults: f64,
}

/// The most that was seen of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peak {
    pub(super) resident_bytes: usize,
    pub(super) threads: usize,
}

impl Program {
    fn command(&self) -> Command {
        self.command_of(&self.path, &[])
    }

    /// The same, as an argument of another program.
    fn command_of(&self, path: &Path, before: &[&str]) -> Command {
        let mut command = Command::new(path);
        command.args(before);
        if path != self.path {
            command.arg(&self.path);
        }
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it once, and fails with what it said if it failed.
    pub(super) fn run(&self) -> Result<()> {
        let output = self.command().output().with_context(|| format!("cannot start {}", self.name))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}\n{said}", self.name, output.status);
        Ok(())
    }

    /// Runs it once. Nothing else that this process started may end meanwhile.
    fn sample(&self) -> Result<Sample> {
        let before = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let started = Instant::now();
        self.run()?;
        let wall = started.elapsed();
        let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let difference =
            |of: &dyn Fn(&Usage) -> i64| Duration::from_micros((of(&after) - of(&before)).unsigned_abs());
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let faults = (after.minor_page_faults() + after.major_page_faults())
            .saturating_sub(before.minor_page_faults() + before.major_page_faults());
        Ok(Sample {
            wall: milliseconds(wall),
            user: milliseconds(difference(&|usage| usage.user_time().num_microseconds())),
            system: milliseconds(difference(&|usage| usage.system_time().num_microseconds())),
            faults: super::figures::float(usize::try_from(faults).unwrap_or_default()),
        })
    }

    /// The peaks of several runs, by looking at the process as often as possible while it lives.
    pub(super) fn peak(&self) -> Result<Peak> {
        let mut peak = Peak::default();
        for _ in 0..PEAK_RUNS {
            let mut child = self.command().stderr(Stdio::null()).spawn()?;
            while child.try_wait()?.is_none() {
                let now = look_at(&child);
                peak.resident_bytes = peak.resident_bytes.max(now.resident_bytes);
                peak.threads = peak.threads.max(now.threads);
            }
        }
        ensure!(peak.resident_bytes > 0, "{} was never seen", self.name);
        Ok(peak)
    }

    /// The instructions of one run in user space: from the processor's counters, else simulated; `None` where
    /// neither works.
    pub(super) fn instructions(&self) -> Option<f64> {
        let said = |name: &str, before: &[&str]| {
            let output = self.command_of(&on_path(name)?, before).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let counted = said("perf", &["stat", "-x,", "-e", "instructions:u"]).and_then(|text| {
            text.lines().find_map(|line| line.split_once(",,instructions")?.0.parse::<f64>().ok())
        });
        counted.or_else(|| {
            let before = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
            let text = said("valgrind", &before)?;
            let collected = text.lines().find_map(|line| line.split_once("Collected : "))?.1;
            collected.trim().parse().ok()
        })
    }
}

/// Where a program is on PATH.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Runs all programs in turn, this many rounds: what disturbs the machine disturbs all of them.
pub(super) fn interleaved(programs: &[&Program], rounds: usize) -> Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::new(); programs.len()];
    for _ in 0..rounds {
        for (program, samples) in programs.iter().zip(&mut samples) {
            samples.push(program.sample()?);
        }
    }
    Ok(samples)
}

/// The median of one value of all samples.
pub(super) fn median(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<_> = samples.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The mean of one value of all samples: for times that the kernel counts in ticks.
pub(super) fn mean(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    samples.iter().map(value).sum::<f64>() / super::figures::float(samples.len())
}

/// The least of one value of all samples.
pub(super) fn minimum(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    samples.iter().map(value).fold(f64::INFINITY, f64::min)
}

fn look_at(child: &Child) -> Peak {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let number = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.split_whitespace().next()?.parse::<usize>().ok()
    };
    // Between fork and exec it is a copy of this process.
    if !is_itself(child) {
        return Peak::default();
    }
    Peak {
        resident_bytes: number("VmHWM:").unwrap_or_default() * 1024,
        threads: number("Threads:").unwrap_or_default(),
    }
}

fn is_itself(child: &Child) -> bool {
    let executable = fs::read_link(format!("/proc/{}/exe", child.id()));
    executable.is_ok_and(|path| std::env::current_exe().is_ok_and(|own| own != path))
}

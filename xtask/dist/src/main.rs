//! What a release consists of, started by `cargo xtask`: the image, and `dist` with everything else.

mod audit;
mod dist;
mod image;
mod krew;
mod packages;
mod pages;
mod push;
mod revision;
mod sbom;
mod statement;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use node_annotator_collectors as _;

/// Development tasks of node-annotator that make a release.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write a container image as an OCI archive, or push it: of this checkout, or of another static binary
    ///
    /// By default the image holds the `node-annotator` binary of this checkout, for each architecture that
    /// can be built here; what is missing for another is said. A registry gets a list of what is in each
    /// binary (SBOM, CycloneDX) and where the image comes from (provenance, in-toto) attached to it.
    ///
    /// With --program it holds another binary: a static executable for Linux, that is one without a dynamic
    /// loader, since there is no other file in the image. To build one:
    ///
    /// RUSTFLAGS=-Ctarget-feature=+crt-static cargo build --release --target x86_64-unknown-linux-gnu
    Image(image::Options),
    /// Have independent programs look at the repository: spelling, workflows, licences, advisories, semver
    Audit(audit::Options),
    /// Package the crates that are published, and build the crate of other people from these packages alone
    Packages(packages::Options),
    /// Write what a release consists of into `target/dist`
    ///
    /// An archive with the binary, completions and man pages for each target that can be built here, what
    /// is missing for the others; the image, with what is said of it; the chart; the manifest of the
    /// kubectl plugin; and the checksums of them all.
    Dist(dist::Options),
}

fn main() -> ExitCode {
    xtask_workspace::exit_code(match Cli::parse().task {
        Task::Image(options) => image::run(&options),
        Task::Audit(options) => audit::run(&options),
        Task::Packages(options) => packages::run(&options),
        Task::Dist(options) => dist::run(&options),
    })
}

/// In hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;

    sha2::Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

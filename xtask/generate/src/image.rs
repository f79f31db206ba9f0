//! `cargo xtask image`: the container image as a file, made without a container engine.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use node_annotator_deploy::DEFAULT_IMAGE;
use node_annotator_tests::image::{Image, binary};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The OCI archive to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Name and tag that the image is imported under
    #[arg(long, default_value = DEFAULT_IMAGE)]
    name: String,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let Options { output, name } = options;
    eprintln!("building the static release binary");
    let program = binary::read()?;
    let archive = Image::node_annotator(name).archive(&program)?;
    fs::write(output, &archive).with_context(|| format!("cannot write `{}`", output.display()))?;
    eprintln!(
        "{}: image `{name}`, {} (program {})",
        output.display(),
        megabytes(&archive),
        megabytes(&program)
    );
    Ok(())
}

/// With one decimal.
fn megabytes(bytes: &[u8]) -> String {
    format!("{}.{} MB", bytes.len() / 1_000_000, bytes.len() / 100_000 % 10)
}

//! `cargo xtask image`: a container image as a file, made without a container engine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use node_annotator_deploy::DEFAULT_IMAGE;
use node_annotator_image::{Image, Program};
use xtask_workspace::static_binary;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The OCI archive to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Name and tag that the image is imported under
    #[arg(long, default_value = DEFAULT_IMAGE)]
    name: String,
    /// A static binary of yours, instead of that of this checkout; the container runs it
    #[arg(long, value_name = "FILE", requires = "name")]
    program: Option<PathBuf>,
    /// Something to write on the image, such as org.opencontainers.image.version=1.0; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { output, name, program, labels } = options;
    let (image, program) = if let Some(path) = program {
        (Image::new(name)?, Program::read(path)?)
    } else {
        let image = Image::node_annotator(name)?;
        eprintln!("building the static release binary");
        (image, Program::read(static_binary::build()?)?)
    };
    let image = labels.iter().fold(image, |image, (key, value)| image.label(key, value));
    let archive = image.archive(&program)?;
    fs::write(output, &archive).with_context(|| format!("cannot write `{}`", output.display()))?;
    eprintln!(
        "{}: image `{}`, {} (program {})",
        output.display(),
        image.name(),
        megabytes(&archive),
        megabytes(program.bytes())
    );
    Ok(())
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is KEY=VALUE"),
    }
}

/// With one decimal.
fn megabytes(bytes: &[u8]) -> String {
    format!("{}.{} MB", bytes.len() / 1_000_000, bytes.len() / 100_000 % 10)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn another_program_never_gets_the_stock_name() {
        let parse = |arguments: &[&str]| {
            let arguments = ["image", "--output=image.tar"].iter().chain(arguments);
            Cli::try_parse_from(arguments)
        };
        assert_eq!(parse(&[]).unwrap().options.name, DEFAULT_IMAGE);
        assert!(parse(&["--program=mine", "--name=mine:1"]).is_ok());
        let error = parse(&["--program=mine"]).unwrap_err().to_string();
        assert!(error.contains("--name"), "{error}");
    }
}

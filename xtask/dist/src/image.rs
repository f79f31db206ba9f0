//! `cargo xtask image`: a container image as a file or in a registry, made without a container engine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use node_annotator_deploy::DEFAULT_IMAGE;
use node_annotator_image::{Attachment, Image, Packed, Program};
use xtask_workspace::{RELEASED, Target, static_binary};

use crate::revision::Revision;
use crate::{push, sbom, statement};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Args)]
#[group(id = "where", required = true, multiple = true, args = ["output", "push"])]
pub(crate) struct Options {
    /// The OCI archive to write
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where to push it, such as registry.example/node-annotator:0.1.0; logged in as with `docker login`
    #[arg(long, value_name = "REFERENCE")]
    push: Option<String>,
    /// Push without TLS, to a registry on this machine
    #[arg(long, requires = "push")]
    plain_http: bool,
    /// Name and tag that the archive is imported under [default: what is pushed, or the stock name]
    #[arg(long)]
    name: Option<String>,
    /// A static binary of yours, instead of that of this checkout; the container runs it; may be repeated,
    /// for each architecture once
    #[arg(long, value_name = "FILE")]
    program: Vec<PathBuf>,
    /// An architecture to build, by its target of Rust; may be repeated [default: those that can be built
    /// here]
    #[arg(long, value_name = "TRIPLE", conflicts_with = "program", value_parser = RELEASED)]
    target: Vec<String>,
    /// Something to write on the image, such as org.opencontainers.image.version=1.0; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let name = options.name.as_deref().or(options.push.as_deref());
    let made = if options.program.is_empty() {
        of_checkout(
            &options.image(Image::node_annotator(name.unwrap_or(DEFAULT_IMAGE))?),
            &options.targets()?,
        )?
    } else {
        let name =
            name.context("the image of another program needs a name\nhint: --name REGISTRY/NAME:TAG")?;
        let programs = options.program.iter().map(Program::read).collect::<Result<Vec<_>>>()?;
        Made { image: options.image(Image::new(name)?).pack(&programs)?, attachments: Vec::new() }
    };
    let name = name.unwrap_or(DEFAULT_IMAGE);
    if let Some(output) = &options.output {
        let archive = made.image.archive()?;
        fs::write(output, &archive).with_context(|| format!("cannot write `{}`", output.display()))?;
        eprintln!(
            "{}: image `{name}`, {}, {}",
            output.display(),
            platforms(&made.image),
            megabytes(&archive)
        );
    }
    if let Some(reference) = &options.push {
        push::push(reference, options.plain_http, &made)?;
        // As steps of a workflow hand it on.
        println!("digest={}", made.image.digest());
    }
    Ok(())
}

/// An image, and what is said of it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) image: Packed,
    /// Each with what it is, for people.
    pub(crate) attachments: Vec<(&'static str, Attachment)>,
}

impl Options {
    fn image(&self, image: Image) -> Image {
        self.labels.iter().fold(image, |image, (key, value)| image.label(key, value))
    }

    fn targets(&self) -> Result<Vec<Target>> {
        if self.target.is_empty() {
            return buildable();
        }
        let targets: Vec<_> = self.target.iter().map(|triple| Target::new(triple)).collect();
        for target in &targets {
            ensure!(target.is_linux(), "{}: an image is for Linux", target.triple());
            if let Some(missing) = target.missing()? {
                anyhow::bail!("{}: {missing}", target.triple());
            }
        }
        Ok(targets)
    }
}

/// The architectures of nodes that can be built here; of the others it says what is missing.
pub(crate) fn buildable() -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for target in RELEASED.map(Target::new).into_iter().filter(Target::is_linux) {
        match target.missing()? {
            None => targets.push(target),
            Some(missing) => eprintln!("left out: {}: {missing}", target.triple()),
        }
    }
    ensure!(!targets.is_empty(), "no architecture can be built here");
    Ok(targets)
}

/// Builds the programs, and packs them.
pub(crate) fn of_checkout(image: &Image, targets: &[Target]) -> Result<Made> {
    let revision = Revision::of_checkout();
    let commit = revision.as_ref().map(Revision::short);
    let mut programs = Vec::new();
    for target in targets {
        eprintln!("building the static release binary for {}", target.triple());
        programs.push(Program::read(static_binary::build_for(target, commit.as_deref())?)?);
    }
    pack(image, targets, &programs, revision.as_ref())
}

/// Packs programs of this checkout, with what is said of them.
pub(crate) fn pack(
    image: &Image,
    targets: &[Target],
    programs: &[Program],
    revision: Option<&Revision>,
) -> Result<Made> {
    let mut image = image.clone();
    if let Some(revision) = revision {
        image = image
            .label("org.opencontainers.image.revision", &revision.commit)
            .label("org.opencontainers.image.created", &revision.time);
    }
    let image = image.pack(programs)?;
    let mut attachments = Vec::new();
    for (target, manifest) in targets.iter().zip(image.manifests()) {
        let document = sbom::sbom(target, revision)?;
        let file = format!("node-annotator-{VERSION}-{}.cdx.json", target.triple());
        attachments.push(("SBOM", Attachment::new(manifest, sbom::MEDIA_TYPE, &file, &document)?));
    }
    let document = statement::provenance(&image, targets, revision)?;
    let file = format!("node-annotator-{VERSION}.intoto.json");
    attachments
        .push(("provenance", Attachment::new(image.index(), statement::MEDIA_TYPE, &file, &document)?));
    Ok(Made { image, attachments })
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is KEY=VALUE"),
    }
}

fn platforms(image: &Packed) -> String {
    let platforms = image.manifests().iter().filter_map(node_annotator_image::Blob::platform);
    platforms.collect::<Vec<_>>().join(" and ")
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

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Cli::try_parse_from(["image"].iter().chain(arguments)).map(|cli| cli.options)
    }

    #[test]
    fn another_program_never_gets_the_stock_name() {
        let error = run(&parse(&["--output=image.tar", "--program=mine"]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("hint: --name"), "{error}");
    }

    #[test]
    fn an_image_goes_somewhere() {
        assert!(parse(&["--output=image.tar", "--push=localhost:5000/mine:1"]).is_ok());
        let error = parse(&[]).unwrap_err().to_string();
        assert!(error.contains("--output") && error.contains("--push"), "{error}");
        assert!(parse(&["--output=image.tar", "--plain-http"]).is_err());
    }

    #[test]
    fn a_target_that_cannot_be_built_is_refused_before_anything_is_built() {
        let refused = |triple: &str| {
            let options = parse(&["--output=image.tar", "--target", triple]).unwrap();
            options.targets().unwrap_err().to_string()
        };
        assert_eq!(refused("aarch64-apple-darwin"), "aarch64-apple-darwin: an image is for Linux");
        assert!(parse(&["--output=image.tar", "--target=riscv64gc-unknown-linux-gnu"]).is_err());
    }
}

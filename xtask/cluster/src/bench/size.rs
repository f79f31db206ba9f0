//! How large the binary is: whole, without the operator's commands, without collectors; and the image.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use node_annotator_core::Registry;
use node_annotator_image::{Image, Program};
use xtask_workspace::static_binary;

use super::budget::{self, Count};
use super::figures::{Figure, Figures};
use super::progress;

const SUBJECT: &str = "node-annotator";

/// Measures a binary; of this checkout also its parts, which it builds.
pub(super) fn measure(figures: &mut Figures, binary: &Path, of_this_checkout: bool) -> Result<()> {
    let mut add = |name: &str, bytes: usize, limit: f64| {
        figures.add(Figure::bytes(SUBJECT, name, bytes).at_most(limit));
    };
    let program = Program::read(binary)?;
    let whole = program.bytes().len();
    add("static binary", whole, budget::BINARY_BYTES);
    let image = Image::node_annotator("node-annotator:bench")?.pack(&[program])?.archive()?;
    add("image, compressed", image.len(), budget::IMAGE_BYTES);
    if !of_this_checkout {
        return Ok(());
    }
    progress("building the static release binary without the operator's commands");
    let node_wing = size(&static_binary::build_node_wing()?)?;
    add("static binary, node's wing", node_wing, budget::NODE_WING_BYTES);
    progress("building the static release binary without collectors");
    let engine = size(&static_binary::build_engine()?)?;
    add("static binary, no collectors", engine, budget::ENGINE_BYTES);
    let registry = Registry::from_inventory()?;
    let allowance = Count::of(registry.iter()).binary_bytes();
    add("collectors in it", whole.saturating_sub(engine), allowance);
    Ok(())
}

fn size(path: &Path) -> Result<usize> {
    let file = fs::metadata(path).with_context(|| format!("cannot look at `{}`", path.display()))?;
    usize::try_from(file.len()).context("a file beyond memory")
}

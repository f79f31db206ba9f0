//! Container images as OCI archives: one static program, one layer, for one or several
//! architectures, the same bytes whenever they are built.
//!
//! No container engine is involved. Any of them takes the archive: `ctr images import`, `podman load`,
//! `docker load`, `skopeo copy oci-archive:…`.
//!
//! ```no_run
//! use node_annotator_image::{Image, Program};
//!
//! # fn main() -> anyhow::Result<()> {
//! let program = Program::read("target/x86_64-unknown-linux-gnu/release/mine")?;
//! let image = Image::new("registry.example/mine:1.0")?
//!     .label("org.opencontainers.image.title", "mine");
//! std::fs::write("image.tar", image.pack(&[program])?.archive()?)?;
//! # Ok(())
//! # }
//! ```

pub mod archive;
mod attachment;
mod blob;
mod image;
mod packed;
mod program;

pub use attachment::Attachment;
pub use blob::Blob;
pub use image::Image;
pub use packed::Packed;
pub use program::Program;

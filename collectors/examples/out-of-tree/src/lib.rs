//! The collectors of a site. `main.rs` names this crate once, and has them all.

mod machine_image;

pub use machine_image::MACHINE_IMAGE;

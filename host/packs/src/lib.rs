//! Content packs: what a folder or a content bundle must be, and the objects and components that come out of it.
//!
//! Two forms are read, and both give a [`Pack`]:
//!
//! - a folder of ours (design, part 5) with `pack.yaml`, a folder per object prefix, `templates/` and
//!   `components/`: [`load_folder`], and [`core`] for the one that is built in;
//! - a content bundle of the API (drp-api.md 11.2): [`from_content`], and back with [`to_content`].
//!
//! A pack is refused whole, with all its faults, each with its place. What is checked here needs the pack alone;
//! collisions with other packs, references, template texts and what a component imports are for the server.

mod assemble;
mod content;
mod embedded;
mod error;
mod files;
mod manifest;
mod object;
mod pack;

pub use assemble::load_folder;
pub use content::{from_content, to_content};
pub use embedded::core;
pub use error::{Fault, PackError};
pub use pack::{Pack, PackComponent, digest};

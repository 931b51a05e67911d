//! Content packs: what a folder, a pack file or a content bundle must be, and the objects and components that come out
//! of it.
//!
//! Four forms are read, and all give a [`Pack`]:
//!
//! | form | read | written |
//! |---|---|---|
//! | a folder of ours (design, part 5), with `pack.yaml` | [`load_folder`] | by its author |
//! | the same in one file, `.fwpack`, signed | [`Archive::read`] | [`Archive::write`] |
//! | a content bundle of the API (drp-api.md 11.2) | [`from_content`], [`parse_content`] | [`to_content`] |
//! | a folder that is bundled to one (drp-behaviour.md 7.2) | [`bundle_folder`] | [`unbundle`] |
//!
//! [`basic`] and [`core`] are the packs that are built in. A pack is refused whole, with all its faults, each with its place. What is
//! checked here needs the pack alone; references, template texts and what a component imports are for the server, and so
//! is carrying out what the pure parts decide: who is trusted ([`Trust`]), which packs fit together ([`versions`]),
//! which objects collide ([`layers`]), what an upgrade changes ([`Difference`]).

mod archive;
mod assemble;
mod content;
mod difference;
mod directory;
mod embedded;
mod error;
mod files;
mod keys;
pub mod layers;
mod lenient;
mod manifest;
mod object;
mod pack;
mod path;
mod trust;
pub mod versions;

pub use archive::{Archive, ArchiveError, ArchiveManifest, Member, Signer};
pub use assemble::load_folder;
pub use content::{from_content, to_content};
pub use difference::{Change, ComponentChange, Difference, PackShape};
pub use directory::{bundle_folder, unbundle};
pub use embedded::{basic, core};
pub use error::{Fault, PackError};
pub use files::{MAX_FILE_BYTES, MAX_TOTAL_BYTES};
pub use keys::{KeyError, PublicKey, SigningKey};
pub use lenient::{parse_bundle, parse_content};
pub use pack::{Pack, PackComponent, PackFile, digest};
pub use trust::{Signature, Trust, Verdict};

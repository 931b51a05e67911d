//! Builds guests: finds a compiler for `wasm32-unknown-unknown`, runs it, and encodes what comes out as components.
//!
//! The ways, in the order in which they are tried:
//!
//! 1. a compiler that has the target: the one that `FORMWORK_GUEST_RUSTC` names, else the active one;
//! 2. a compiler with the sources of the standard library, once that library has been built into the cache folder;
//! 3. `rustup target add`, when the caller allows installing;
//! 4. the standard library is built from a compiler's sources into the cache folder, once per compiler;
//! 5. Debian's packages, when the caller allows installing and we are root; then as 4.
//!
//! Components in other languages are built by the tools of those languages ([`Tool`]), each in a pinned version that is
//! installed into the cache folder: `componentize-js` and `componentize-py`.
//!
//! One code path serves build scripts, `xtask` and authors of content packs. Nothing of the cargo that may be running
//! around us is inherited, so a build script gets the same bytes as a shell.

mod command;
mod compiler;
mod find;
mod guest;
mod install;
mod javascript;
mod once;
mod python;
mod source;
mod sysroot;
mod world;

pub use find::{Install, Toolchain, ToolchainError};
pub use guest::{BuildError, BuiltComponent, GuestBuild};
pub use source::{Language, Source, SourceError, Tool};
pub use world::WorldError;

/// The target of every guest. It has no operating system, so a guest can import nothing but our own packages.
pub const TARGET: &str = "wasm32-unknown-unknown";

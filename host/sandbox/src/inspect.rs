//! What a component is and what it asks for, read from its bytes without compiling anything.

use std::fmt;

use wasmparser::{Encoding, Parser, Payload};

use crate::Digest;
use crate::prescan::{self, Scan, ScanError};

pub use crate::prescan::Excess;

/// What a component is for, by its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One step of a workflow: exports `formwork:task/task`.
    Task,
    /// The rules of workflows: exports `formwork:workflow/workflow`.
    Workflow,
}

/// A package that a component may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// `formwork:log`.
    Log,
    /// `formwork:params`.
    Params,
    /// `formwork:files`.
    Files,
    /// `formwork:machine`: types only, no authority.
    Machine,
}

/// A component, as its bytes tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentInfo {
    /// What it is for.
    pub kind: Kind,
    /// What it imports, in the order of [`Capability`].
    pub imports: Vec<Capability>,
    /// Its name.
    pub digest: Digest,
}

/// The bytes are no component that can run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// Something else altogether.
    #[error("it is not WebAssembly: it does not begin with `\\0asm`")]
    NotWasm,
    /// A core module, as compilers write it before it is encoded.
    #[error("it is a core module, not a component\nhint: encode it, as `formwork pack build` does")]
    CoreModule,
    /// Broken or cut off.
    #[error("it is damaged at byte {offset}: {words}")]
    Malformed {
        /// Where.
        offset: u64,
        /// What is wrong there.
        words: String,
    },
    /// It exports none of the interfaces that make a component useful here, or several.
    #[error("its exports ({exports}) belong to no world known here\nhint: export one of {known}", known = KNOWN_EXPORTS)]
    UnknownWorld {
        /// What it exports.
        exports: String,
    },
    /// It imports an interface that does not exist here.
    #[error("it imports `{import}`, which does not exist here")]
    UnknownImport {
        /// The import.
        import: String,
    },
    /// It imports an interface that components of its kind may not have.
    #[error("it imports `{import}`, which a {kind} component may not have")]
    NotForKind {
        /// The import.
        import: String,
        /// What the component is for.
        kind: Kind,
    },
    /// It could keep the compiler busy for too long.
    #[error("it is not fit to be compiled: {0}")]
    Excessive(#[source] Excess),
}

const KNOWN_EXPORTS: &str = "`formwork:task/task@0.1.0`, `formwork:workflow/workflow@0.1.0`";

/// Looks at a component: what it is for, what it imports, and whether it is fit to be compiled.
///
/// Takes about 10 ms for each MB; call it where that may block.
///
/// # Errors
///
/// Fails for what is no component, belongs to no known world, imports what does not exist, or is excessive.
pub fn inspect(bytes: &[u8]) -> Result<ComponentInfo, InspectError> {
    if bytes.len() > prescan::MAX_BYTES {
        return Err(InspectError::Excessive(Excess::Bytes { found: bytes.len() }));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(InspectError::NotWasm);
    }
    let surface = surface(bytes)?;
    let kind = kind(&surface.exports)?;
    let mut imports = Vec::new();
    for import in surface.imports {
        let Some(capability) = Capability::of_import(&import) else {
            return Err(InspectError::UnknownImport { import });
        };
        if !kind.may_import(capability) {
            return Err(InspectError::NotForKind { import, kind });
        }
        imports.push(capability);
    }
    imports.sort_unstable();
    imports.dedup();
    Ok(ComponentInfo { kind, imports, digest: Digest::of(bytes) })
}

/// The names on the outside of a component.
#[derive(Default)]
struct Surface {
    imports: Vec<String>,
    exports: Vec<String>,
    /// How many modules and components are open around the present part.
    depth: usize,
    scan: Scan,
}

/// Walks through all parts of a component, its functions included.
fn surface(bytes: &[u8]) -> Result<Surface, InspectError> {
    let mut surface = Surface::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(malformed)?;
        if let Payload::Version { encoding: Encoding::Module, .. } = payload
            && surface.depth == 0
        {
            return Err(InspectError::CoreModule);
        }
        surface.take(&payload).map_err(|error| match error {
            ScanError::Excess(excess) => InspectError::Excessive(excess),
            ScanError::Malformed(error) => malformed(error),
        })?;
    }
    Ok(surface)
}

impl Surface {
    /// Takes in one part.
    fn take(&mut self, payload: &Payload<'_>) -> Result<(), ScanError> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.depth += 1;
                Scan::nesting(self.depth)?;
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::CodeSectionEntry(body) => self.scan.function(body)?,
            Payload::ComponentImportSection(imports) if self.depth == 0 => {
                for import in imports.clone() {
                    self.imports.push(import?.name.full_name().into_owned());
                }
            }
            Payload::ComponentExportSection(exports) if self.depth == 0 => {
                for export in exports.clone() {
                    self.exports.push(export?.name.full_name().into_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Finds the one world that a component's exports belong to.
fn kind(exports: &[String]) -> Result<Kind, InspectError> {
    let mut kinds = exports.iter().filter_map(|export| match track(export) {
        Some(("formwork:task/task", "0.1")) => Some(Kind::Task),
        Some(("formwork:workflow/workflow", "0.1")) => Some(Kind::Workflow),
        _ => None,
    });
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => Ok(kind),
        _ => Err(InspectError::UnknownWorld { exports: quoted(exports) }),
    }
}

impl Kind {
    /// Whether components of this kind may ask for a capability at all.
    pub fn may_import(self, capability: Capability) -> bool {
        match self {
            Self::Task => true,
            Self::Workflow => capability == Capability::Log,
        }
    }

    /// The word for it in manifests and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Workflow => "workflow",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Log, Self::Params, Self::Files, Self::Machine];

    /// The word for it in manifests and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Params => "params",
            Self::Files => "files",
            Self::Machine => "machine",
        }
    }

    /// The capability that an import's name means; `None` when it or its track is not known here.
    pub(crate) fn of_import(import: &str) -> Option<Self> {
        match track(import)? {
            ("formwork:log/log", "0.1") => Some(Self::Log),
            ("formwork:params/params", "0.1") => Some(Self::Params),
            ("formwork:files/files", "0.1") => Some(Self::Files),
            ("formwork:machine/machine", "0.1") => Some(Self::Machine),
            _ => None,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Splits a name such as `formwork:log/log@0.1.3` into the interface and its compatibility track, `0.1`.
fn track(name: &str) -> Option<(&str, &str)> {
    let (interface, version) = name.split_once('@')?;
    let (track, patch) = version.rsplit_once('.')?;
    let is_number = !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((interface, track))
}

/// Names in backticks, the first few of them.
fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<_> =
        names.iter().take(5).map(|name| format!("`{}`", name.chars().take(80).collect::<String>())).collect();
    shown.join(", ")
}

/// Says where the bytes are damaged.
fn malformed(error: wasmparser::BinaryReaderError) -> InspectError {
    InspectError::Malformed { offset: error.offset(), words: error.message().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_is_the_version_without_its_last_number() {
        assert_eq!(track("formwork:log/log@0.1.7"), Some(("formwork:log/log", "0.1")));
        for name in
            ["formwork:log/log", "formwork:log/log@0.1.x", "formwork:log/log@1", "formwork:log/log@0.1."]
        {
            assert_eq!(track(name), None, "{name}");
        }
    }

    #[test]
    fn another_track_is_unknown() {
        assert_eq!(Capability::of_import("formwork:log/log@0.1.9"), Some(Capability::Log));
        assert_eq!(Capability::of_import("formwork:log/log@0.2.0"), None);
        assert_eq!(Capability::of_import("wasi:cli/environment@0.2.6"), None);
    }

    #[test]
    fn a_component_without_exports_belongs_to_no_world() {
        let empty = b"\0asm\x0d\0\x01\0";
        assert_eq!(inspect(empty), Err(InspectError::UnknownWorld { exports: "none".to_owned() }));
    }

    #[test]
    fn what_is_no_component_is_told_by_name() {
        assert_eq!(inspect(b"#!/bin/sh"), Err(InspectError::NotWasm));
        assert_eq!(inspect(b""), Err(InspectError::NotWasm));
        assert_eq!(inspect(b"\0asm\x01\0\0\0"), Err(InspectError::CoreModule));
        assert!(matches!(inspect(b"\0asm\x0d\0"), Err(InspectError::Malformed { .. })));
    }
}

//! What a component is and what it asks for, read from its bytes without compiling anything.

use std::fmt;

use serde::{Deserialize, Serialize};
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::{Types, TypesRef};
use wasmparser::{Encoding, Parser, Payload, Validator};

use crate::prescan::{self, Scan, ScanError};
use crate::world::shape::Function;
use crate::world::{self, Interface, Named};
use crate::{Capability, Digest};

pub use crate::prescan::Excess;

/// What a component is for, by its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// One step of a workflow: exports `formwork:task/task`.
    Task,
    /// The rules of workflows: exports `formwork:workflow/workflow`.
    Workflow,
    /// What happens when something moves: exports `formwork:migration-policy/policy`.
    MigrationPolicy,
    /// A change of what is stored, and back: exports `formwork:upgrade-step/step`.
    UpgradeStep,
    /// Actions and events: exports `formwork:plugin/plugin`.
    Plugin,
}

/// A component, as its bytes tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentInfo {
    /// What it is for.
    pub kind: Kind,
    /// The compatibility track of what it exports, such as `0.2`.
    pub track: String,
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
    #[error(
        "its exports ({exports}) belong to no world known here\nhint: export one of {}",
        world::known_exports()
    )]
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
    /// It imports or exports an interface of a track that this release does not know.
    #[error("it has `{name}`, which is of a wrong track: known are {known}")]
    WrongTrack {
        /// The import or export.
        name: String,
        /// The tracks that are known, such as `0.1 and 0.2`.
        known: String,
    },
    /// It exports the interface of its kind otherwise than the world has it.
    #[error("it exports `{export}`, but {difference}")]
    WrongExport {
        /// The export.
        export: String,
        /// What differs, such as ``its function `run` is missing``.
        difference: String,
    },
    /// It imports an interface otherwise than it is here.
    #[error("it imports `{import}`, but {difference}")]
    WrongImport {
        /// The import.
        import: String,
        /// What differs.
        difference: String,
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
    let (surface, types) = surface(bytes)?;
    let types = types.as_ref();
    let export = only_world(&surface.exports)?;
    let (kind, track) = check_export(export, types)?;
    let mut imports = Vec::new();
    for import in &surface.imports {
        let capability = check_import(import, types)?;
        if !kind.may_import(capability) {
            return Err(InspectError::NotForKind { import: import.clone(), kind });
        }
        imports.push(capability);
    }
    imports.sort_unstable();
    imports.dedup();
    Ok(ComponentInfo { kind, track, imports, digest: Digest::of(bytes) })
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

/// Walks through all parts of a component, its functions included, and learns the types of what is on its outside.
fn surface(bytes: &[u8]) -> Result<(Surface, Types), InspectError> {
    let mut surface = Surface::default();
    let mut validator = Validator::new();
    let mut types = None;
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
        // What is inside of functions is the compiler's to check.
        if let wasmparser::ValidPayload::End(all) = validator.payload(&payload).map_err(malformed)? {
            types = Some(all);
        }
    }
    let cut = InspectError::Malformed { offset: bytes.len() as u64, words: "it ends too early".to_owned() };
    Ok((surface, types.ok_or(cut)?))
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
            Payload::TypeSection(types) => self.scan.types(types)?,
            Payload::CoreTypeSection(types) => self.scan.core_types(types)?,
            Payload::ComponentTypeSection(types) => self.scan.component_types(types)?,
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

/// Finds the one export that makes a component useful here.
fn only_world(exports: &[String]) -> Result<&str, InspectError> {
    let mut worlds = exports.iter().filter(|export| world::kind_of_export(export).is_some());
    match (worlds.next(), worlds.next()) {
        (Some(export), None) => Ok(export),
        _ => Err(InspectError::UnknownWorld { exports: quoted(exports) }),
    }
}

/// Compares what a component exports with what its world has: all of its functions, with the same types.
fn check_export(export: &str, types: TypesRef<'_>) -> Result<(Kind, String), InspectError> {
    let unknown = || InspectError::UnknownWorld { exports: quoted(&[export.to_owned()]) };
    let known = known(export)?.ok_or_else(unknown)?;
    let kind = world::kind_of_export(export).ok_or_else(unknown)?;
    let track = world::split(export).ok_or_else(unknown)?.1.to_owned();
    let wrong = |difference| InspectError::WrongExport { export: export.to_owned(), difference };
    let item = types.component_item_for_export(export).map(|item| item.ty);
    let found = functions(types, item).ok_or_else(|| wrong("it is no interface".to_owned()))?;
    for (name, expected) in &known.functions {
        let function = found.iter().find(|(found, _)| found == name);
        let (_, function) = function.ok_or_else(|| wrong(format!("its function `{name}` is missing")))?;
        if let Some(words) = function.difference(expected) {
            return Err(wrong(format!("its function `{name}` {words}")));
        }
    }
    Ok((kind, track))
}

/// Compares what a component imports with what is here: nothing but known functions, with the same types.
fn check_import(import: &str, types: TypesRef<'_>) -> Result<Capability, InspectError> {
    let unknown = || InspectError::UnknownImport { import: import.to_owned() };
    let known = known(import)?.ok_or_else(unknown)?;
    let capability = world::capability_of_import(import).ok_or_else(unknown)?;
    let wrong = |difference| InspectError::WrongImport { import: import.to_owned(), difference };
    let item = types.component_item_for_import(import).map(|item| item.ty);
    let found = functions(types, item).ok_or_else(|| wrong("it is no interface".to_owned()))?;
    for (name, function) in found {
        let expected = known.functions.get(&name);
        let shown: String = name.chars().take(80).collect();
        let expected = expected.ok_or_else(|| wrong(format!("it has no function `{shown}`")))?;
        if let Some(words) = function.difference(expected) {
            return Err(wrong(format!("its function `{name}` {words}")));
        }
    }
    Ok(capability)
}

/// Looks up an interface of `wit/`; none when there is no such one on any track.
fn known(name: &str) -> Result<Option<&'static Interface>, InspectError> {
    match world::named(name) {
        Named::Known(known) => Ok(Some(known)),
        Named::WrongTrack(tracks) => {
            Err(InspectError::WrongTrack { name: name.to_owned(), known: tracks.join(" and ") })
        }
        Named::Unknown => Ok(None),
    }
}

/// The functions of an interface, with their types; none when it is something else.
#[expect(
    clippy::indexing_slicing,
    reason = "an id is that of one of these types, and there is no other way to it"
)]
fn functions(types: TypesRef<'_>, item: Option<ComponentEntityType>) -> Option<Vec<(String, Function)>> {
    let ComponentEntityType::Instance(id) = item? else { return None };
    let exports = types[id].exports.iter();
    let functions = exports.filter_map(|(name, item)| match item.ty {
        ComponentEntityType::Func(id) => Some((name.clone(), Function::found(types, &types[id]))),
        _ => None,
    });
    Some(functions.collect())
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Task, Self::Workflow, Self::MigrationPolicy, Self::UpgradeStep, Self::Plugin];

    /// Whether components of this kind may ask for a capability at all.
    pub fn may_import(self, capability: Capability) -> bool {
        match self {
            Self::Task => true,
            // Programs are not run on the endpoint, and a plugin is called for no machine.
            Self::Plugin => !matches!(capability, Capability::Exec | Capability::Machine),
            Self::Workflow | Self::MigrationPolicy | Self::UpgradeStep => capability == Capability::Log,
        }
    }

    /// The word for it in manifests and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Workflow => "workflow",
            Self::MigrationPolicy => "migration-policy",
            Self::UpgradeStep => "upgrade-step",
            Self::Plugin => "plugin",
        }
    }

    /// The interface that it exports.
    pub(crate) fn interface(self) -> &'static str {
        match self {
            Self::Task => "formwork:task/task",
            Self::Workflow => "formwork:workflow/workflow",
            Self::MigrationPolicy => "formwork:migration-policy/policy",
            Self::UpgradeStep => "formwork:upgrade-step/step",
            Self::Plugin => "formwork:plugin/plugin",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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

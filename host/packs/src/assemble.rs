//! Makes a pack of the files of a folder.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use formwork_model::{ComponentRecord, Kind, NameGrammar, Object, name_problem};
use serde_json::{Value, json};

use crate::{
    Fault, Pack, PackComponent, PackError, PackFile, digest,
    files::{Files, pack_files},
    manifest::{MANIFEST, Manifest, parse_yaml},
    object::{component_of, decode, kind_in_pack},
    path::path_problem,
};

/// Reads the folder of a pack.
///
/// A file holds up to [`crate::MAX_FILE_BYTES`], a pack up to [`crate::MAX_TOTAL_BYTES`] in 10,000 files; paths have up to
/// four names. What is its author's only is left out: `tests/`, the folders that components name as `source`, pack files
/// beside the manifest, and what begins with a dot.
///
/// # Errors
///
/// A link or a limit that is exceeded; else all faults of the pack together.
pub fn load_folder(path: &Path) -> Result<Pack, PackError> {
    assemble(&pack_files(path)?)
}

/// Makes a pack of its files.
pub(crate) fn assemble(files: &Files) -> Result<Pack, PackError> {
    let Some(text) = files.get(MANIFEST) else {
        return Err(PackError::refused(MANIFEST, "the file is missing"));
    };
    let manifest: Manifest = parse_yaml(text).map_err(|reason| PackError::refused(MANIFEST, reason))?;
    let mut builder = Builder { files, manifest: &manifest, objects: Vec::new(), faults: Vec::new() };
    builder.manifest();
    let components = builder.components();
    for file in files.keys() {
        builder.file(file);
    }
    if !builder.faults.is_empty() {
        return Err(PackError::Refused { faults: builder.faults });
    }
    let mut objects = builder.objects;
    objects.sort_by_key(|object| (object.kind().prefix, object.key()));
    Ok(Pack { meta: manifest.meta(), objects, components, files: extra_files(files) })
}

/// Gathers objects and faults.
struct Builder<'a> {
    files: &'a Files,
    manifest: &'a Manifest,
    objects: Vec<Arc<dyn Object>>,
    faults: Vec<Fault>,
}

impl Builder<'_> {
    fn fault(&mut self, place: &str, reason: impl Into<String>) {
        self.faults.push(Fault::new(place, reason));
    }

    fn manifest(&mut self) {
        let name = self.manifest.name.as_str();
        if let Some(problem) = name_problem(NameGrammar::Machine, name, name) {
            self.fault(MANIFEST, problem);
        }
        for problem in self.manifest.problems() {
            self.fault(MANIFEST, problem);
        }
        let mut seen = BTreeSet::new();
        for component in &self.manifest.components {
            if !is_component_name(&component.name) {
                let rule = "lower-case letters, digits and `-`, a letter first";
                self.fault(MANIFEST, format!("component `{}`: its name must be {rule}", component.name));
            }
            if !seen.insert(component.name.as_str()) {
                self.fault(MANIFEST, format!("component `{}` is listed twice", component.name));
            }
            for problem in component.problems() {
                self.fault(MANIFEST, format!("component `{}`: {problem}", component.name));
            }
        }
    }

    fn components(&mut self) -> Vec<PackComponent> {
        let mut found = Vec::new();
        for component in &self.manifest.components {
            let file = format!("components/{}.wasm", component.name);
            let Some(wasm) = self.files.get(&file) else {
                self.fault(
                    &file,
                    format!("the file is missing; {MANIFEST} lists component `{}`", component.name),
                );
                continue;
            };
            let record = ComponentRecord {
                name: component.name.clone(),
                kind: component.kind,
                digest: digest(wasm),
                grants: component.grant_lines(),
                limits: component.limits.clone(),
            };
            found.push(PackComponent { record, wasm: wasm.clone() });
        }
        found
    }

    fn file(&mut self, file: &str) {
        match file.split_once('/') {
            None if matches!(file, MANIFEST | "README.md") => {}
            None => self.fault(file, "a pack holds `pack.yaml`, `README.md` and folders only"),
            Some(("components", rest)) => self.component_file(file, rest),
            Some(("files", _)) => {
                if let Some(reason) = path_problem(file) {
                    self.fault(file, reason);
                }
            }
            Some((prefix, rest)) => match kind_in_pack(prefix) {
                Err(reason) => self.fault(file, format!("folder `{prefix}`: {reason}")),
                Ok(kind) if prefix == "templates" => self.template_file(kind, file, rest),
                Ok(kind) => self.object_file(kind, file, rest),
            },
        }
    }

    fn component_file(&mut self, file: &str, rest: &str) {
        let listed = |name| self.manifest.components.iter().any(|component| component.name == name);
        if !rest.strip_suffix(".wasm").is_some_and(listed) {
            self.fault(file, format!("no component of {MANIFEST} belongs to this file"));
        }
    }

    /// Templates are plain text. A comment at their beginning describes them; it is no part of what is rendered.
    fn template_file(&mut self, kind: &Kind, file: &str, rest: &str) {
        let Some(id) = rest.strip_suffix(".tmpl").filter(|id| !id.contains('/')) else {
            return self.fault(file, "a template is a file `templates/ID.tmpl`");
        };
        let Some(text) = self.text(file) else {
            return self.fault(file, "the text is not UTF-8");
        };
        let object =
            json!({"ID": id, "Contents": text, "Description": opening_comment(text).unwrap_or_default()});
        self.object(kind, file, object);
    }

    fn object_file(&mut self, kind: &Kind, file: &str, rest: &str) {
        let Some(stem) = rest.strip_suffix(".yaml").filter(|stem| !stem.contains('/')) else {
            return self
                .fault(file, format!("an object is a file `{}/KEY.yaml`, `/` in keys as `.`", kind.prefix));
        };
        let value = match parse_yaml::<Value>(self.files.get(file).map_or(&[], |bytes| bytes.as_ref())) {
            Ok(value) => value,
            Err(reason) => return self.fault(file, reason),
        };
        match value.get(kind.key).and_then(Value::as_str) {
            Some(key) if key.replace('/', ".") == stem => self.object(kind, file, value),
            Some(key) => self.fault(file, format!("the {} is called `{key}`, unlike the file", kind.noun)),
            None => self.fault(file, format!("the {} has no `{}`", kind.noun, kind.key)),
        }
    }

    fn object(&mut self, kind: &Kind, file: &str, value: Value) {
        match decode(kind, value, &self.manifest.name) {
            Err(reasons) => reasons.into_iter().for_each(|reason| self.fault(file, reason)),
            Ok(object) => {
                if let Some(reason) = self.component_fault(object.as_ref()) {
                    self.fault(file, reason);
                }
                self.objects.push(object);
            }
        }
    }

    /// Returns why the component that an object names is not right. Those of other packs are not known here.
    fn component_fault(&self, object: &dyn Object) -> Option<String> {
        let (named, kind) = component_of(object)?;
        let name = named.strip_prefix(&self.manifest.name)?.strip_prefix('/')?;
        match self.manifest.components.iter().find(|component| component.name == name) {
            None => Some(format!("component `{named}` is not in {MANIFEST}")),
            Some(component) if component.kind != kind => {
                Some(format!("component `{named}` is not of kind {}", json!(kind)))
            }
            Some(_) => None,
        }
    }

    fn text(&self, file: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(file)?).ok()
    }
}

/// Returns the files in `files/`, which the pack brings beside its objects.
fn extra_files(files: &Files) -> Vec<PackFile> {
    let extra = |(path, bytes): (&String, &bytes::Bytes)| {
        let path = path.strip_prefix("files/")?.to_owned();
        Some(PackFile { path, digest: digest(bytes), bytes: bytes.clone() })
    };
    files.iter().filter_map(extra).collect()
}

/// Tells whether a component may have this name, which is a file name and a word in `PACK/COMPONENT`.
fn is_component_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Returns the words of a comment that a template begins with, on one line.
fn opening_comment(text: &str) -> Option<String> {
    let rest = text.strip_prefix("{{")?;
    let rest = rest.strip_prefix("- ").unwrap_or(rest).strip_prefix("/*")?;
    let (comment, _) = rest.split_once("*/")?;
    Some(comment.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests;

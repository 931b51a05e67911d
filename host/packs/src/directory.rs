//! Content bundles as folders (drp-behaviour.md 7.2): one file for each object and for each member of the meta data.
//!
//! | in the folder | is |
//! |---|---|
//! | `._FIELD.meta` | a member of the meta data, as plain text |
//! | `templates/...` | a template: the path is its id, the bytes are its contents |
//! | `TYPE/....yaml`, `.yml`, `.json` | an object |
//! | all else | nothing: other files, folders that are no type of object, links among them |

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use formwork_model::{Content, ContentMeta, kind_of};
use serde_json::{Map, Value, json};

use crate::{
    Fault, PackError,
    files::read_folder,
    lenient::{parse_content, parse_lenient, soften},
    object::is_type,
    path::path_problem,
};

/// How the keys of types that are not built in may be called, the likeliest first.
const KEYS: [&str; 5] = ["Name", "ID", "Id", "Uuid", "Addr"];

/// Reads a folder as the content bundle that it stands for.
///
/// Names and versions that are missing get the defaults `Unspecified`, `v0.0.0` and type `dynamic`. The limits are those of
/// [`crate::load_folder`].
///
/// # Errors
///
/// A limit that is exceeded or a link in the place of an object; else all files that cannot be read as objects together.
pub fn bundle_folder(path: &Path) -> Result<Content, PackError> {
    let files = read_folder(path, &wanted)?;
    let mut bundler = Bundler { meta: Map::new(), content: Content::default(), faults: Vec::new() };
    for (path, bytes) in &files {
        bundler.file(path, bytes);
    }
    bundler.finish()
}

/// Tells whether a path may be part of a bundle.
fn wanted(path: &str) -> bool {
    match path.split_once('/') {
        None => is_type(path) || meta_field(path).is_some(),
        Some(("templates", _)) => true,
        // Folders within folders are looked into; files count by their endings.
        Some((_, rest)) => stem(rest).is_some() || !rest.contains('.'),
    }
}

/// Returns the member of the meta data that a file holds.
fn meta_field(file: &str) -> Option<&str> {
    file.strip_prefix("._")?.strip_suffix(".meta")
}

/// Returns the name of an object's file without its ending.
fn stem(file: &str) -> Option<&str> {
    [".yaml", ".yml", ".json"].iter().find_map(|ending| file.strip_suffix(ending))
}

struct Bundler {
    meta: Map<String, Value>,
    content: Content,
    faults: Vec<Fault>,
}

impl Bundler {
    fn file(&mut self, path: &str, bytes: &[u8]) {
        let result = match path.split_once('/') {
            None => self.meta_file(path, bytes),
            Some(("templates", id)) => self.template(id, bytes),
            Some((prefix, rest)) if stem(rest).is_some() => self.object(prefix, bytes),
            Some(_) => Ok(()),
        };
        if let Err(reason) = result {
            self.faults.push(Fault::new(path, reason));
        }
    }

    fn meta_file(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        let Some(field) = meta_field(path) else {
            return Err(String::from("it must be a folder"));
        };
        let text = std::str::from_utf8(bytes).map_err(|_| "the text is not UTF-8")?;
        // Editors end a line that was meant to be a word.
        let text = if field == "Documentation" { text } else { text.trim_end() };
        let value = match field {
            "Writable" | "Overwritable" => {
                Value::Bool(text.parse().map_err(|_| "it must be `true` or `false`")?)
            }
            _ => Value::from(text),
        };
        self.meta.insert(field.to_owned(), value);
        Ok(())
    }

    fn template(&mut self, id: &str, bytes: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "the text is not UTF-8")?;
        self.insert("templates", id, json!({"ID": id, "Contents": text}))
    }

    fn object(&mut self, prefix: &str, bytes: &[u8]) -> Result<(), String> {
        let mut value = match serde_json::from_slice(bytes) {
            Ok(value) => value,
            Err(_) => parse_lenient(bytes)?,
        };
        let kind = kind_of(prefix);
        if let Some(kind) = kind {
            soften(kind, &mut value);
        }
        let own = kind.map_or(&KEYS[..], |kind| std::slice::from_ref(&kind.key));
        let key = own.iter().find_map(|member| value.get(*member)?.as_str().filter(|key| !key.is_empty()));
        match key.map(str::to_owned) {
            Some(key) => self.insert(prefix, &key, value),
            None => Err(format!("the object has no `{}`", own.first().unwrap_or(&"Name"))),
        }
    }

    fn insert(&mut self, prefix: &str, key: &str, value: Value) -> Result<(), String> {
        let section = self.content.sections.entry(prefix.to_owned()).or_default();
        match section.insert(key.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(format!("{prefix}:{key} is in another file too")),
        }
    }

    fn finish(mut self) -> Result<Content, PackError> {
        if !self.faults.is_empty() {
            return Err(PackError::Refused { faults: self.faults });
        }
        for (field, value) in [("Name", "Unspecified"), ("Version", "v0.0.0"), ("Type", "dynamic")] {
            let member = self.meta.entry(field).or_insert_with(|| Value::from(value));
            if member.as_str() == Some("") {
                *member = Value::from(value);
            }
        }
        let meta = serde_json::to_vec(&json!({"meta": self.meta})).unwrap_or_default();
        self.content.meta = parse_content(&meta)?.meta;
        Ok(self.content)
    }
}

/// Writes a content bundle into a folder, one file for each object; `/` in keys becomes `.`. Returns what the files do not
/// tell and bundling them will not bring back.
///
/// # Errors
///
/// The folder has files in it already; a key that is no file name, or two keys that become the same one; a write that
/// fails, after which the folder is incomplete.
pub fn unbundle(content: &Content, path: &Path) -> Result<Vec<String>, PackError> {
    let mut notes = Vec::new();
    let files = files_of(content, &mut notes)?;
    let failed = |path: &Path| {
        let path: PathBuf = path.to_owned();
        move |source: io::Error| PackError::Write { path, source: Arc::new(source) }
    };
    fs::create_dir_all(path).map_err(failed(path))?;
    if fs::read_dir(path).map_err(failed(path))?.next().is_some() {
        return Err(PackError::refused(path.display().to_string(), "the folder is not empty"));
    }
    for (file, text) in files {
        let target = path.join(file);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(failed(folder))?;
        }
        fs::write(&target, text).map_err(failed(&target))?;
    }
    Ok(notes)
}

/// Returns the files of a bundle by their paths.
fn files_of(content: &Content, notes: &mut Vec<String>) -> Result<BTreeMap<String, String>, PackError> {
    let mut files: BTreeMap<String, String> = meta_files(&content.meta).collect();
    let mut faults = Vec::new();
    for (prefix, section) in &content.sections {
        if !section.is_empty() && !is_type(prefix) {
            faults.push(Fault::new(format!("sections.{prefix}"), "this is no type of object"));
            continue;
        }
        for (key, value) in section {
            let (file, text) = object_file(prefix, key, value, notes);
            let problem = path_problem(&file).map(str::to_owned).or_else(|| {
                files.insert(file.clone(), text).map(|_| format!("another object is file `{file}` too"))
            });
            faults.extend(problem.map(|reason| Fault::new(format!("{prefix}:{key}"), reason)));
        }
    }
    if faults.is_empty() { Ok(files) } else { Err(PackError::Refused { faults }) }
}

/// Returns the files of the meta data: one for each member that says something.
fn meta_files(meta: &ContentMeta) -> impl Iterator<Item = (String, String)> {
    let members = match serde_json::to_value(meta) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    members.into_iter().filter_map(|(field, value)| {
        let text = match value {
            Value::String(text) if !text.is_empty() => text,
            Value::Bool(true) => String::from("true"),
            _ => return None,
        };
        Some((format!("._{field}.meta"), text))
    })
}

/// Returns the path and the text of an object's file.
fn object_file(prefix: &str, key: &str, value: &Value, notes: &mut Vec<String>) -> (String, String) {
    let name = key.replace('/', ".");
    if prefix != "templates" {
        let text = serde_saphyr::to_string(&named(prefix, key, value)).unwrap_or_default();
        return (format!("{prefix}/{name}.yaml"), text);
    }
    if name != key {
        notes.push(format!("templates:{key} is written as `{name}`, which is its id from now on"));
    }
    let lost = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(member, value)| !matches!(member.as_str(), "ID" | "Contents") && !is_empty(value));
    for (member, _) in lost {
        notes.push(format!("templates:{key} loses its `{member}`, as a file has its contents only"));
    }
    let text = value.get("Contents").and_then(Value::as_str).unwrap_or_default();
    (format!("{prefix}/{name}"), text.to_owned())
}

/// Returns an object with its key in it, which may be known from its place alone.
fn named(prefix: &str, key: &str, value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Object(members) = &mut value {
        let own = kind_of(prefix).map_or("Name", |kind| kind.key);
        let bears =
            members.keys().any(|member| member == own || (own == "Name" && KEYS.contains(&member.as_str())));
        if !bears {
            members.insert(own.to_owned(), Value::from(key));
        }
    }
    value
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;

//! Content bundles as folders (drp-behaviour.md 7.2): one file for each object and for each member of the meta data.
//!
//! | in the folder | is |
//! |---|---|
//! | `._FIELD.meta` | a member of the meta data, as plain text; a link to a file beside it stands for that file, as to `README.md` |
//! | `meta.yaml`, `meta.yml`, `meta.json` | members of the meta data, as far as no `._FIELD.meta` says them |
//! | `templates/...` | a template: the path is its id, the bytes are its contents |
//! | `TYPE/....yaml`, `.yml`, `.json` | an object |
//! | all else | nothing: other files, folders that are no type of object, links among them |

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
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

/// Files of many members of the meta data; a folder has one of them at most.
const META: [&str; 3] = ["meta.json", "meta.yaml", "meta.yml"];

/// How the keys of types that are not built in may be called, the likeliest first.
const KEYS: [&str; 5] = ["Name", "ID", "Id", "Uuid", "Addr"];

/// Reads a folder as the content bundle that it stands for.
///
/// Names and versions that are missing get the defaults `Unspecified`, `v0.0.0` and type `dynamic`. The limits are those of
/// [`crate::load_folder`].
///
/// # Errors
///
/// A limit that is exceeded, a link in the place of an object or one of the meta data that leads elsewhere; else all files that
/// cannot be read as objects together.
pub fn bundle_folder(path: &Path) -> Result<Content, PackError> {
    let links = meta_links(path)?;
    let is_target = |path: &str| links.values().any(|target| target == path);
    let mut files = read_folder(path, &|path| is_target(path) || wanted(path) && !links.contains_key(path))?;
    for (link, target) in &links {
        let Some(bytes) = files.get(target).cloned() else {
            return Err(PackError::refused(link, format!("it leads to `{target}`, which is no file")));
        };
        files.insert(link.clone(), bytes);
    }
    files.retain(|path, _| wanted(path));
    let mut bundler = Bundler::default();
    // Single members come first: their names begin with a dot.
    for (path, bytes) in &files {
        bundler.file(path, bytes);
    }
    bundler.finish()
}

/// Returns the links among the files of single members, and to which file beside them each leads.
fn meta_links(root: &Path) -> Result<BTreeMap<String, String>, PackError> {
    let failed = |source: io::Error| PackError::Read { path: root.to_owned(), source: Arc::new(source) };
    let mut links = BTreeMap::new();
    for entry in fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(name) =
            entry.file_name().to_str().filter(|name| meta_field(name).is_some()).map(str::to_owned)
        else {
            continue;
        };
        if !entry.file_type().map_err(failed)?.is_symlink() {
            continue;
        }
        let target = fs::read_link(entry.path()).map_err(failed)?;
        let mut parts = target.components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(file)), None) if file.to_str().is_some() => {
                links.insert(name, file.to_string_lossy().into_owned());
            }
            _ => return Err(PackError::refused(name, "a link that leads to no file beside it")),
        }
    }
    Ok(links)
}

/// Tells whether a path may be part of a bundle.
fn wanted(path: &str) -> bool {
    match path.split_once('/') {
        None => is_type(path) || meta_field(path).is_some() || META.contains(&path),
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

/// Reads JSON or YAML.
fn parsed(bytes: &[u8]) -> Result<Value, String> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(_) => parse_lenient(bytes),
    }
}

#[derive(Default)]
struct Bundler {
    meta: Map<String, Value>,
    /// True once one of [`META`] was read.
    has_members: bool,
    content: Content,
    faults: Vec<Fault>,
}

impl Bundler {
    fn file(&mut self, path: &str, bytes: &[u8]) {
        let result = match path.split_once('/') {
            None if META.contains(&path) => self.meta_members(bytes),
            None => self.meta_file(path, bytes),
            Some(("templates", id)) => self.template(id, bytes),
            Some((prefix, rest)) if stem(rest).is_some() => self.object(prefix, bytes),
            Some(_) => Ok(()),
        };
        if let Err(reason) = result {
            self.faults.push(Fault::new(path, reason));
        }
    }

    fn meta_members(&mut self, bytes: &[u8]) -> Result<(), String> {
        if std::mem::replace(&mut self.has_members, true) {
            return Err(format!("only one of {} can be there", META.join(", ")));
        }
        let Value::Object(members) = parsed(bytes)? else {
            return Err(String::from("it must be a map of the members of the meta data"));
        };
        for (field, value) in members {
            self.meta.entry(field).or_insert(value);
        }
        Ok(())
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
        let mut value = parsed(bytes)?;
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

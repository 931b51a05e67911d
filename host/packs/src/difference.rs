//! What changes between two versions of a pack: for authors to read, and for operators to agree to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use formwork_model::{ComponentRecord, Object, PackGrant};
use serde::Serialize;
use serde_json::Value;

use crate::{Pack, layers::ObjectName, object::is_read_only};

/// A pack as far as it is compared. It comes of a [`Pack`], or of what a store has kept of one.
#[derive(Clone, Debug, Default)]
pub struct PackShape {
    version: String,
    objects: BTreeMap<ObjectName, Value>,
    components: BTreeMap<String, ComponentRecord>,
    files: BTreeMap<String, String>,
}

impl PackShape {
    /// Makes it of a version, objects and components.
    pub fn new<'a>(
        version: &str,
        objects: impl IntoIterator<Item = &'a Arc<dyn Object>>,
        components: impl IntoIterator<Item = &'a ComponentRecord>,
    ) -> Self {
        let object = |object: &Arc<dyn Object>| {
            let mut value = object.to_json();
            if let Value::Object(members) = &mut value {
                members.retain(|name, _| !is_read_only(object.kind(), name));
            }
            (ObjectName::new(object.kind().prefix, object.key()), value)
        };
        Self {
            version: version.to_owned(),
            objects: objects.into_iter().map(object).collect(),
            components: components.into_iter().map(|record| (record.name.clone(), record.clone())).collect(),
            files: BTreeMap::new(),
        }
    }

    /// Adds the digests of other files, by path.
    #[must_use]
    pub fn with_files(mut self, files: impl IntoIterator<Item = (String, String)>) -> Self {
        self.files.extend(files);
        self
    }
}

impl From<&Pack> for PackShape {
    fn from(pack: &Pack) -> Self {
        let components = pack.components.iter().map(|component| &component.record);
        let files = pack.files.iter().map(|file| (file.path.clone(), file.digest.clone()));
        Self::new(&pack.meta.version, &pack.objects, components).with_files(files)
    }
}

/// One thing that is not the same in both versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Change {
    /// The old version does not have it.
    Added {
        /// Its name.
        name: String,
    },
    /// The new version does not have it.
    Removed {
        /// Its name.
        name: String,
    },
    /// Both have it.
    Changed {
        /// Its name.
        name: String,
        /// The members that differ; empty for files.
        members: Vec<String>,
    },
}

/// What is not the same of a component that is in at least one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ComponentChange {
    /// The name of the component.
    pub name: String,
    /// The digest of the old version; nothing when it has none.
    pub old_digest: Option<String>,
    /// The digest of the new version; nothing when it has none.
    pub new_digest: Option<String>,
    /// Limits that were asked for or are: name, old and new value; nothing stands for the usual one.
    pub limits: Vec<(String, Option<u64>, Option<u64>)>,
}

/// All that changes from one version of a pack to another. Its text is for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// The old version.
    pub old_version: String,
    /// The new version.
    pub new_version: String,
    /// Objects, by `PREFIX:KEY`.
    pub objects: Vec<Change>,
    /// Components whose bytes or limits differ.
    pub components: Vec<ComponentChange>,
    /// Other files, by path.
    pub files: Vec<Change>,
    /// Grants of the new version that no grant of the old one covers: what needs consent.
    pub wider: Vec<PackGrant>,
    /// Grants of the old version that no grant of the new one covers.
    pub narrower: Vec<PackGrant>,
}

impl Difference {
    /// Compares two versions. Against an empty shape, everything is new and every grant is wider.
    #[must_use]
    pub fn between(old: &PackShape, new: &PackShape) -> Self {
        Self {
            old_version: old.version.clone(),
            new_version: new.version.clone(),
            objects: changes(&old.objects, &new.objects, ObjectName::to_string, differing),
            components: component_changes(&old.components, &new.components),
            files: changes(&old.files, &new.files, String::clone, |_, _| Vec::new()),
            wider: uncovered(&new.components, &old.components),
            narrower: uncovered(&old.components, &new.components),
        }
    }

    /// Tells whether an operator must agree before the new version may take the place of the old one.
    #[must_use]
    pub fn needs_consent(&self) -> bool {
        !self.wider.is_empty()
    }

    /// Tells whether nothing is different but perhaps the version.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { objects, components, files, wider, narrower, .. } = self;
        objects.is_empty()
            && components.is_empty()
            && files.is_empty()
            && wider.is_empty()
            && narrower.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |text: &str| if text.is_empty() { String::from("none") } else { text.to_owned() };
        write!(formatter, "version {} -> {}", version(&self.old_version), version(&self.new_version))?;
        for change in self.objects.iter().chain(&self.files) {
            match change {
                Change::Added { name } => write!(formatter, "\n+ {name}")?,
                Change::Removed { name } => write!(formatter, "\n- {name}")?,
                Change::Changed { name, members } if members.is_empty() => write!(formatter, "\n~ {name}")?,
                Change::Changed { name, members } => write!(formatter, "\n~ {name}: {}", members.join(", "))?,
            }
        }
        for component in &self.components {
            write!(formatter, "\n{component}")?;
        }
        for PackGrant { component, line } in &self.wider {
            write!(formatter, "\n! component {component} may also `{line}`")?;
        }
        for PackGrant { component, line } in &self.narrower {
            write!(formatter, "\n  component {component} no longer may `{line}`")?;
        }
        Ok(())
    }
}

impl fmt::Display for ComponentChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        let name = &self.name;
        match (&self.old_digest, &self.new_digest) {
            (None, Some(new)) => write!(formatter, "+ component {name} {}", short(new))?,
            (Some(old), None) => write!(formatter, "- component {name} {}", short(old))?,
            (Some(old), Some(new)) if old != new => {
                write!(formatter, "~ component {name} {} -> {}", short(old), short(new))?;
            }
            _ => write!(formatter, "~ component {name}")?,
        }
        let value =
            |value: &Option<u64>| value.map_or_else(|| String::from("default"), |value| value.to_string());
        for (limit, old, new) in &self.limits {
            write!(formatter, ", {limit} {} -> {}", value(old), value(new))?;
        }
        Ok(())
    }
}

/// Compares two maps; `members` says what differs within two values that are not equal.
fn changes<K: Ord, V: PartialEq>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    named: impl Fn(&K) -> String,
    members: impl Fn(&V, &V) -> Vec<String>,
) -> Vec<Change> {
    let keys: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    let change = |key: &K| match (old.get(key), new.get(key)) {
        (None, _) => Some(Change::Added { name: named(key) }),
        (_, None) => Some(Change::Removed { name: named(key) }),
        (Some(old), Some(new)) if old != new => {
            Some(Change::Changed { name: named(key), members: members(old, new) })
        }
        _ => None,
    };
    keys.into_iter().filter_map(change).collect()
}

/// Returns the names of the members that differ.
fn differing(old: &Value, new: &Value) -> Vec<String> {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return Vec::new() };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

fn component_changes(
    old: &BTreeMap<String, ComponentRecord>,
    new: &BTreeMap<String, ComponentRecord>,
) -> Vec<ComponentChange> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| {
        let (old, new) = (old.get(name), new.get(name));
        let digest = |record: Option<&ComponentRecord>| record.map(|record| record.digest.clone());
        let limit = |record: Option<&ComponentRecord>, limit| {
            record.and_then(|record: &ComponentRecord| record.limits.get(limit).copied())
        };
        let limits = ComponentRecord::LIMITS.iter().map(|name| (*name, limit(old, *name), limit(new, *name)));
        let change = ComponentChange {
            name: name.clone(),
            old_digest: digest(old),
            new_digest: digest(new),
            limits: limits
                .filter(|(_, old, new)| old != new)
                .map(|(name, old, new)| (name.to_owned(), old, new))
                .collect(),
        };
        let kind = |record: Option<&ComponentRecord>| record.map(|record| record.kind);
        let same =
            change.old_digest == change.new_digest && change.limits.is_empty() && kind(old) == kind(new);
        (!same).then_some(change)
    };
    names.into_iter().filter_map(change).collect()
}

/// Returns the grants of components that no grant of the same component among others covers.
fn uncovered(
    of: &BTreeMap<String, ComponentRecord>,
    by: &BTreeMap<String, ComponentRecord>,
) -> Vec<PackGrant> {
    let mut found = BTreeSet::new();
    for record in of.values() {
        let others = by.get(&record.name).map(|other| other.grants.as_slice()).unwrap_or_default();
        for line in record.grants.iter().filter(|line| !others.iter().any(|other| covers(other, line))) {
            found.insert(PackGrant { component: record.name.clone(), line: line.clone() });
        }
    }
    found.into_iter().collect()
}

/// Tells whether whoever has one grant line may do all that another line allows.
///
/// A line that is not understood covers only itself: too little is covered rather than too much, as consent is asked for
/// the rest.
fn covers(held: &str, wanted: &str) -> bool {
    let (held, wanted) = (words(held), words(wanted));
    if held == wanted {
        return true;
    }
    let ((capability, held), (other, wanted)) = (held, wanted);
    if capability != other {
        return false;
    }
    match (capability, held.as_slice(), wanted.as_slice()) {
        ("params", [held_way, held], [way, wanted]) => held_way == way && pattern_covers(held, wanted),
        ("secrets", [held], [wanted]) => pattern_covers(held, wanted),
        ("kv", ["rw"], ["ro"]) => true,
        ("files", [held, held_mode], [wanted, mode]) => {
            (held_mode == mode || (*held_mode, *mode) == ("rw", "ro")) && folder_covers(held, wanted)
        }
        ("http", [held], [wanted]) => address_covers(held, wanted),
        _ => false,
    }
}

/// Splits a line into the capability and the words after its colon.
fn words(line: &str) -> (&str, Vec<&str>) {
    let (capability, rest) = line.split_once(':').unwrap_or((line, ""));
    (capability.trim(), rest.split_whitespace().collect())
}

/// Tells whether every name that fits one pattern fits another; `*` stands for any characters. A `*` of the pattern that
/// is wanted is matched like a character, which only a `*` of the other can do.
fn pattern_covers(held: &str, wanted: &str) -> bool {
    let mut parts = held.split('*');
    let Some(mut rest) = wanted.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// Tells whether a folder is another or holds it.
fn folder_covers(held: &str, wanted: &str) -> bool {
    let plain = !wanted.split('/').any(|part| matches!(part, "." | ".."));
    let below = wanted.strip_prefix(held.trim_end_matches('/'));
    held == wanted || (plain && below.is_some_and(|rest| rest.starts_with('/')))
}

/// Tells whether an address that ends with `*` after the host covers another. Other patterns cover only themselves: where
/// a `*` may stand for a part of a host, text says too little about who is called.
fn address_covers(held: &str, wanted: &str) -> bool {
    let Some(start) = held.strip_suffix('*') else { return false };
    let has_path = start.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    has_path && !start.contains('*') && wanted.starts_with(start) && !wanted.contains("..")
}

#[cfg(test)]
mod tests;

//! `pack.yaml`: what a pack says of itself and which components it has.

use std::collections::BTreeMap;

use formwork_model::{ComponentKind, ComponentRecord, ContentMeta};
use serde::{Deserialize, de::DeserializeOwned};
use serde_saphyr::NonFiniteFloatPolicy;

use crate::{
    object::kind_in_pack,
    path::{is_plain_line, path_problem},
    versions::{Range, Version},
};

/// The name of the manifest in the folder of a pack.
pub(crate) const MANIFEST: &str = "pack.yaml";

/// The manifest as its author writes it. A word that is not known here is refused.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) components: Vec<Component>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    documentation: String,
    #[serde(default)]
    source: String,
    /// Names of features.
    #[serde(default)]
    required_features: Vec<String>,
    /// Other packs with the versions that will do.
    #[serde(default)]
    prerequisites: BTreeMap<String, String>,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    author: String,
    #[serde(default)]
    license: String,
    #[serde(default)]
    copyright: String,
    #[serde(default)]
    code_source: String,
    #[serde(default)]
    doc_url: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    icon: String,
    #[serde(default)]
    color: String,
    #[serde(default)]
    order: String,
}

impl Manifest {
    /// Returns the meta data as the API shows them.
    pub(crate) fn meta(&self) -> ContentMeta {
        let prerequisite = |(name, versions): (&String, &String)| match versions.as_str() {
            "" => name.clone(),
            versions => format!("{name}: {versions}"),
        };
        ContentMeta {
            name: self.name.clone(),
            version: self.version.clone(),
            description: self.description.clone(),
            documentation: self.documentation.clone(),
            source: self.source.clone(),
            required_features: self.required_features.join(","),
            prerequisites: self.prerequisites.iter().map(prerequisite).collect::<Vec<_>>().join(","),
            display_name: self.display_name.clone(),
            author: self.author.clone(),
            license: self.license.clone(),
            copyright: self.copyright.clone(),
            code_source: self.code_source.clone(),
            doc_url: self.doc_url.clone(),
            tags: self.tags.join(","),
            icon: self.icon.clone(),
            color: self.color.clone(),
            order: self.order.clone(),
            r#type: String::from("dynamic"),
            writable: false,
            overwritable: false,
        }
    }

    /// Returns what is wrong with the pack's own data, but for its name and its components.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if Version::parse(&self.version).is_none() || !is_plain_line(&self.version) {
            found.push(format!("version `{}` is not like 1.2.3", self.version.escape_debug()));
        }
        for (name, versions) in &self.prerequisites {
            if name.contains([',', ':']) {
                found.push(format!("prerequisite `{}` is no name of a pack", name.escape_debug()));
            }
            if let Err(error) = versions.parse::<Range>() {
                let (name, text) = (name.escape_debug(), error.text.escape_debug());
                found.push(format!("prerequisite `{name}`: `{text}` is no range like `>=1.2.0 <2.0.0`"));
            }
        }
        found
    }
}

/// Returns the folders of the pack's own folder that hold sources of components. Nothing when the manifest is broken,
/// which others tell.
pub(crate) fn source_folders(manifest: &[u8]) -> Vec<String> {
    let Ok(manifest) = parse_yaml::<Manifest>(manifest) else { return Vec::new() };
    let first = |component: &Component| {
        component
            .source_problem()
            .is_none()
            .then(|| component.source.split('/').next().unwrap_or_default().to_owned())
    };
    manifest.components.iter().filter_map(first).filter(|folder| folder != "..").collect()
}

/// A component of the pack; its bytes are in `components/NAME.wasm`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Component {
    pub(crate) name: String,
    pub(crate) kind: ComponentKind,
    /// The cargo package that it is built from. For those who build the pack; nothing of it is left in a pack.
    #[serde(default)]
    #[expect(dead_code, reason = "the builder of a pack reads it; here it only must not be an unknown word")]
    package: String,
    /// The folder of its source, below the pack's folder or beside it. For those who build the pack.
    #[serde(default)]
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) grants: Vec<Grant>,
    /// Limits by the names of [`ComponentRecord::LIMITS`].
    #[serde(default)]
    pub(crate) limits: BTreeMap<String, u64>,
}

impl Component {
    /// Returns all grants, a line each.
    pub(crate) fn grant_lines(&self) -> Vec<String> {
        self.grants.iter().flat_map(Grant::lines).collect()
    }

    /// Returns what is wrong with the component by itself, but for its name.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut found: Vec<String> = self.source_problem().into_iter().collect();
        for line in self.grant_lines() {
            if line.trim().is_empty() || line.len() > MAX_GRANT_BYTES || !is_plain_line(&line) {
                let shown: String = line.escape_debug().take(80).collect();
                found.push(format!("grant `{shown}` is empty, too long or cannot be shown as it is"));
            }
        }
        for (name, value) in &self.limits {
            if !ComponentRecord::LIMITS.contains(&name.as_str()) {
                let known = ComponentRecord::LIMITS.join(", ");
                found.push(format!("there is no limit `{}`, only {known}", name.escape_debug()));
            } else if *value == 0 {
                found.push(format!("limit `{name}` must be more than 0"));
            }
        }
        found
    }

    fn source_problem(&self) -> Option<String> {
        let source = self.source.as_str();
        if source.is_empty() {
            return None;
        }
        let beside = source.strip_prefix("../").unwrap_or(source);
        let first = source.split('/').next().unwrap_or_default();
        let taken = matches!(first, "components" | "files" | MANIFEST) || kind_in_pack(first).is_ok();
        (path_problem(beside).is_some() || taken).then(|| {
            format!(
                "source `{}` must be a folder of its own, like `src/NAME` or `../NAME`",
                source.escape_debug()
            )
        })
    }
}

/// How many events of YAML may come from aliases: enough for any object, little enough that ten thousand files of a pack
/// cannot keep a reader busy for long.
pub(crate) const MAX_REPEATED: usize = 20_000;

/// The longest line of a grant, in bytes; it is shown to whoever must agree to it.
const MAX_GRANT_BYTES: usize = 512;

/// One thing that a component may do. `params: write inventory/*` in a list of YAML is a map with one entry;
/// the same line between quotes is a text. Both mean the same.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Grant {
    Line(String),
    Entry(BTreeMap<String, String>),
}

impl Grant {
    /// Returns the lines of a component's record.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Line(line) => vec![line.clone()],
            Self::Entry(entry) => {
                entry.iter().map(|(capability, what)| format!("{capability}: {what}")).collect()
            }
        }
    }
}

/// Reads one YAML document. Depth, aliases and size are bounded by the reader's defaults.
///
/// # Errors
///
/// What does not fit, in one line that has the line and column.
pub(crate) fn parse_yaml<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED },
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
    };
    serde_saphyr::from_slice_with_options(bytes, options).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_maps_become_the_comma_lists_of_the_api() {
        let text = "name: x1\nversion: 1.2.0\ntags: [a, b]\nprerequisites: {core: '>=0.1.0', other: ''}\n";
        let meta = parse_yaml::<Manifest>(text.as_bytes()).unwrap().meta();
        assert_eq!((meta.tags.as_str(), meta.prerequisites.as_str()), ("a,b", "core: >=0.1.0,other"));
    }

    #[test]
    fn grant_is_the_same_line_with_and_without_quotes() {
        let text = "[params: write inventory/*, 'params: write inventory/*', files: /sys ro]";
        let grants = parse_yaml::<Vec<Grant>>(text.as_bytes()).unwrap();
        let lines: Vec<String> = grants.iter().flat_map(Grant::lines).collect();
        assert_eq!(lines, ["params: write inventory/*", "params: write inventory/*", "files: /sys ro"]);
    }

    #[test]
    fn yaml_that_multiplies_or_never_ends_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = level - 1;
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", format!("*a{before},").repeat(9)));
        }
        let nested = "[".repeat(100_000);
        for text in [bomb.as_str(), nested.as_str(), "a: 1\n---\nb: 2\n", "a: 1\na: 2\n", "\u{0}", "a: .inf"]
        {
            assert!(parse_yaml::<serde_json::Value>(text.as_bytes()).is_err());
        }
        assert!(parse_yaml::<serde_json::Value>(&[b'a', 0xff]).is_err());
    }
}

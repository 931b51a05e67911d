//! The part of `pack.yaml` that says what to build.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read as _,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::failure::UsageError;

/// The manifest's name.
const MANIFEST: &str = "pack.yaml";

/// Most bytes of a manifest.
const MAX_BYTES: u64 = 1 << 20;

/// What a pack has to be built.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) components: Vec<Component>,
}

/// A component of the pack.
#[derive(Debug, Deserialize)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) kind: String,
    /// The folder of its source, as the pack's folder sees it. Empty when somebody else builds it.
    #[serde(default)]
    pub(super) source: String,
    #[serde(default)]
    grants: Vec<Grant>,
}

/// A line of what a component asks for. YAML reads `params: read x` as a map and `progress` as a text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Grant {
    Line(String),
    Entry(BTreeMap<String, String>),
}

impl Manifest {
    /// Reads the manifest of a pack.
    ///
    /// # Errors
    ///
    /// A folder without a manifest, or one that does not say what its components are.
    pub(super) fn read(pack: &Path) -> Result<Self> {
        let path = pack.join(MANIFEST);
        let hint = || {
            let words = format!("`{}` is no content pack", pack.display());
            format!("{words}\nhint: `formwork pack new NAME` makes one")
        };
        if !path.is_file() {
            bail!(UsageError(hint()));
        }
        let failed = || format!("failed to read `{}`", path.display());
        let mut text = String::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
            .with_context(failed)?;
        let manifest: Self = serde_saphyr::from_str(&text).with_context(failed)?;
        match manifest.components.iter().find(|component| !is_name(&component.name)) {
            Some(component) => {
                bail!("component `{}`: its name must be {NAME_RULE}", component.name.escape_debug())
            }
            None => Ok(manifest),
        }
    }
}

impl Component {
    /// What it asks for, a grant a line.
    pub(super) fn grant_lines(&self) -> Vec<String> {
        let lines = self.grants.iter().flat_map(|grant| match grant {
            Grant::Line(line) => vec![line.clone()],
            Grant::Entry(entry) => entry.iter().map(|(word, what)| format!("{word}: {what}")).collect(),
        });
        lines.collect()
    }

    /// The capabilities that it asks for, each once.
    pub(super) fn capabilities(&self) -> Vec<String> {
        let word = |line: String| line.split(':').next().unwrap_or_default().trim().to_owned();
        self.grant_lines().into_iter().map(word).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// What a component may be called, in words.
pub(super) const NAME_RULE: &str = "lower-case letters, digits and `-`, a letter first";

/// Whether a component may have this name, which is a file name and a word in `PACK/COMPONENT`.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_the_first_word_of_a_grant_however_yaml_reads_it() {
        let text = "{name: a, kind: task, grants: [params: read x, 'params: write x', progress, 'kv: rw']}";
        let component: Component = serde_saphyr::from_str(text).unwrap();
        assert_eq!(component.capabilities(), ["kv", "params", "progress"]);
        assert_eq!(component.grant_lines(), ["params: read x", "params: write x", "progress", "kv: rw"]);
    }

    #[test]
    fn a_folder_without_a_manifest_is_told_with_the_way_to_make_one() {
        let words = Manifest::read(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(words.contains("`/nowhere` is no content pack") && words.contains("pack new"), "{words}");
    }

    #[test]
    fn a_name_that_leads_out_of_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let text = "name: p\ncomponents: [{name: ../evil, kind: task, source: src}]\n";
        std::fs::write(folder.path().join(MANIFEST), text).unwrap();
        assert!(Manifest::read(folder.path()).unwrap_err().to_string().contains("its name must be"));
    }
}

//! `cargo xtask check-licences`: every package of the lock file has a licence of `.deny.toml`, and none is banned.
//!
//! An advisory database cannot be reached from where this runs, so known weaknesses are not checked here;
//! `.deny.toml` says how to.

mod spdx;

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::report::say;
use crate::workspace::{Package, Workspace};

/// Fails with every package whose licence is not allowed or that is banned by name.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::read_all()?;
    let path = workspace.root.join(".deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
    let rules = Rules::parse(&text)?;
    let refusals: Vec<String> =
        workspace.packages.iter().filter_map(|package| rules.refusal(package)).collect();
    if refusals.is_empty() {
        say(&format!("licences: {} packages, all allowed", workspace.packages.len()));
        return Ok(());
    }
    bail!("{}\nhint: the rules are in `.deny.toml`", refusals.join("\n"))
}

/// What `.deny.toml` allows and denies.
#[derive(Debug)]
struct Rules {
    licences: Vec<String>,
    banned: Vec<String>,
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let licences = strings(text, "licenses", "allow");
        let banned = strings(text, "bans", "deny");
        if licences.is_empty() || banned.is_empty() {
            bail!("`.deny.toml` lacks `allow` in `[licenses]` or `deny` in `[bans]`");
        }
        Ok(Self { licences, banned })
    }

    fn refusal(&self, package: &Package) -> Option<String> {
        let name = format!("`{} {}`", package.name, package.version);
        if self.banned.contains(&package.name) {
            return Some(format!("{name}: banned"));
        }
        let Some(expression) = &package.license else {
            return Some(format!("{name}: its manifest has no licence expression"));
        };
        match spdx::satisfied(expression, |licence| self.licences.iter().any(|allowed| allowed == licence)) {
            Ok(true) => None,
            Ok(false) => Some(format!("{name}: licence `{expression}` is not allowed")),
            Err(error) => Some(format!("{name}: licence `{expression}` is malformed: {error}")),
        }
    }
}

/// Returns the quoted strings of the array `key` in the table `section`. It reads the TOML that `.deny.toml`
/// uses: one table after the other, arrays of strings or of inline tables, comments.
fn strings(text: &str, section: &str, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut here, mut inside) = (false, false);
    for line in text.lines().map(without_comment) {
        let line = line.trim();
        let body = if inside {
            line
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            here = name == section;
            continue;
        } else if let Some((_, body)) = line.split_once('=').filter(|(name, _)| here && name.trim() == key) {
            body
        } else {
            continue;
        };
        found.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
        inside = !body.trim_end().ends_with(']');
    }
    found
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let end = line.char_indices().find(|(_, letter)| {
        quoted ^= *letter == '"';
        !quoted && *letter == '#'
    });
    end.and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const TEXT: &str = r##"
[licenses]
allow = [
    "MIT", # the "short" one
    "Apache-2.0 WITH LLVM-exception",
]
[bans]
multiple-versions = "allow"
deny = [{ crate = "openssl-sys" }, { crate = "aws-lc-rs" }]
[sources]
allow = ["elsewhere"]
"##;

    fn package(name: &str, license: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            manifest_path: PathBuf::new(),
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn rules_are_read_from_their_own_tables_without_comments() {
        let rules = Rules::parse(TEXT).unwrap();
        assert_eq!(rules.licences, ["MIT", "Apache-2.0 WITH LLVM-exception"]);
        assert_eq!(rules.banned, ["openssl-sys", "aws-lc-rs"]);
    }

    #[test]
    fn file_of_the_repository_has_rules() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.deny.toml");
        let rules = Rules::parse(&fs::read_to_string(path).unwrap()).unwrap();
        assert!(rules.licences.contains(&"Apache-2.0".to_owned()));
        assert!(!rules.licences.iter().any(|licence| licence.contains("GPL") || licence.contains("MPL")));
        assert_eq!(rules.banned, ["aws-lc-rs", "openssl-sys"]);
    }

    #[test]
    fn package_is_refused_for_its_licence_for_none_and_by_name() {
        let rules = Rules::parse(TEXT).unwrap();
        assert_eq!(rules.refusal(&package("good", Some("MIT OR GPL-3.0-only"))), None);
        assert!(rules.refusal(&package("bad", Some("GPL-3.0-only"))).unwrap().contains("not allowed"));
        assert!(rules.refusal(&package("none", None)).unwrap().contains("no licence expression"));
        assert!(rules.refusal(&package("odd", Some("MIT OR"))).unwrap().contains("malformed"));
        assert!(rules.refusal(&package("openssl-sys", Some("MIT"))).unwrap().contains("banned"));
    }

    #[test]
    fn rules_without_a_list_are_refused() {
        assert!(Rules::parse("[licenses]\nallow = [\"MIT\"]\n").is_err());
    }
}

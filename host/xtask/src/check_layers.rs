//! `cargo xtask check-layers`: the arrows between the workspace's packages, and the entries of the root.
//!
//! The table below is the drawing in `host/README.md` in a form that a program can check.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::report::say;
use crate::shell;
use crate::workspace::{DependencyKind, Package, Workspace};

/// What each package in `host/` and `tests/` may use, by their names without the prefix `formwork-`.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("core", &["model"]),
    ("template", &[]),
    ("boot-proto", &[]),
    ("api", &["model"]),
    ("journal", &[]),
    ("store", &["model", "journal"]),
    ("packs", &["model"]),
    ("tls", &[]),
    ("bench", &[]),
    ("lab", &["bench"]),
    ("confine", &[]),
    ("blobs", &["confine"]),
    ("sandbox", &["confine", "tls"]),
    ("toolchain", &[]),
    ("boot", &["boot-proto"]),
    ("client", &["api", "model", "tls"]),
    ("agent", &["client", "api", "model", "sandbox"]),
    ("fleet", &["agent", "client", "api", "model"]),
    (
        "server",
        &[
            "model",
            "core",
            "template",
            "boot-proto",
            "api",
            "store",
            "journal",
            "packs",
            "sandbox",
            "boot",
            "blobs",
        ],
    ),
    (
        "cli",
        &[
            "server",
            "agent",
            "fleet",
            "client",
            "api",
            "model",
            "packs",
            "sandbox",
            "blobs",
            "boot-proto",
            "toolchain",
        ],
    ),
    ("xtask", &["bench", "lab", "toolchain"]),
];

/// What a build script may use besides: the embedded pack is built from guests.
const BUILD_ARROWS: &[(&str, &[&str])] = &[("packs", &["toolchain"])];

/// What every package's tests may use besides.
const TEST_ARROWS: &[&str] = &["bench", "tls", "toolchain"];

/// What a guest may use: the host's crates are not for it.
const GUEST_ARROWS: &[&str] = &["sdk"];

/// The entries of the root, next to dotfiles.
const ROOT_ENTRIES: &[&str] =
    &["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "content", "host", "plugins", "tests", "wit"];

/// Fails with every arrow that the table does not allow and every entry of the root that is not in the list.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::read()?;
    let arrows = arrows(&workspace);
    let mut refusals: Vec<String> = arrows.iter().filter_map(|arrow| arrow.refusal()).collect();
    let unknown = workspace.packages.iter().filter(|package| Place::of(&workspace, package).is_none());
    refusals.extend(unknown.map(|package| {
        format!(
            "package `{}` has no row in the table\nhint: add it to `host/xtask/src/check_layers.rs`",
            package.name
        )
    }));
    refusals.extend(root_refusals(&root_entries(&workspace.root)?));
    if refusals.is_empty() {
        say(&format!("layers: {} packages, {} arrows, all allowed", workspace.packages.len(), arrows.len()));
        return Ok(());
    }
    bail!("{}", refusals.join("\n"))
}

/// Where a package stands in the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A row of [`ARROWS`], by its index there.
    Row(usize),
    /// The crate that guests are written with.
    Sdk,
    /// A plugin or a guest of the tests.
    Guest,
}

impl Place {
    fn of(workspace: &Workspace, package: &Package) -> Option<Self> {
        let folder = workspace.relative(&package.manifest_path).parent()?;
        Self::find(&package.name, folder)
    }

    fn find(package: &str, folder: &Path) -> Option<Self> {
        if folder == Path::new("plugins/sdk") {
            return Some(Self::Sdk);
        }
        if folder.starts_with("plugins") || folder.starts_with("tests/guests") {
            return Some(Self::Guest);
        }
        ARROWS.iter().position(|(name, _)| *name == short(package)).map(Self::Row)
    }
}

/// One package of the workspace that uses another.
#[derive(Debug)]
struct Arrow<'a> {
    from: &'a str,
    place: Place,
    to: &'a str,
    kind: Option<DependencyKind>,
}

impl Arrow<'_> {
    /// Returns the line that refuses this arrow, or nothing when the table allows it.
    fn refusal(&self) -> Option<String> {
        let allowed = self.allowed();
        if allowed.contains(&short(self.to)) {
            return None;
        }
        let rule = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        Some(format!("{self}: not allowed; `{}` may use: {rule}", short(self.from)))
    }

    fn allowed(&self) -> Vec<&'static str> {
        let mut allowed = match self.place {
            Place::Row(index) => ARROWS.get(index).map(|(_, list)| list.to_vec()).unwrap_or_default(),
            Place::Sdk => Vec::new(),
            Place::Guest => return GUEST_ARROWS.to_vec(),
        };
        match self.kind {
            Some(DependencyKind::Dev) => allowed.extend(TEST_ARROWS),
            Some(DependencyKind::Build) => {
                let row = BUILD_ARROWS.iter().find(|(name, _)| *name == short(self.from));
                allowed.extend(row.map(|(_, list)| list.to_vec()).unwrap_or_default());
            }
            None => {}
        }
        allowed
    }
}

impl fmt::Display for Arrow<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Some(DependencyKind::Dev) => " (dev)",
            Some(DependencyKind::Build) => " (build)",
            None => "",
        };
        write!(formatter, "`{}` -> `{}`{kind}", self.from, self.to)
    }
}

fn arrows(workspace: &Workspace) -> Vec<Arrow<'_>> {
    let mut arrows = Vec::new();
    for package in &workspace.packages {
        let Some(place) = Place::of(workspace, package) else { continue };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            arrows.push(Arrow { from: &package.name, place, to: &dependency.name, kind: dependency.kind });
        }
    }
    arrows
}

fn short(package: &str) -> &str {
    package.strip_prefix("formwork-").unwrap_or(package)
}

/// Returns the first path component of everything that git tracks or would track.
fn root_entries(root: &Path) -> Result<BTreeSet<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let files = shell::stdout(&mut git)?;
    let present = |file: &&str| !file.is_empty() && root.join(file).symlink_metadata().is_ok();
    Ok(files
        .split('\0')
        .filter(present)
        .filter_map(|file| file.split('/').next())
        .map(str::to_owned)
        .collect())
}

fn root_refusals(entries: &BTreeSet<String>) -> Vec<String> {
    let extra =
        entries.iter().filter(|entry| !entry.starts_with('.') && !ROOT_ENTRIES.contains(&entry.as_str()));
    let missing = ROOT_ENTRIES.iter().filter(|entry| !entries.contains(**entry));
    let extra =
        extra.map(|entry| format!("root entry `{entry}`: the root shows the product and nothing else"));
    extra.chain(missing.map(|entry| format!("root entry `{entry}` is missing"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow<'a>(from: &'a str, folder: &str, to: &'a str, kind: Option<DependencyKind>) -> Arrow<'a> {
        Arrow { from, place: Place::find(from, Path::new(folder)).unwrap(), to, kind }
    }

    fn refused(from: &str, to: &str) -> bool {
        arrow(from, &format!("host/{}", short(from)), to, None).refusal().is_some()
    }

    #[test]
    fn arrows_of_the_design_are_allowed() {
        for (from, to) in [
            ("formwork-core", "formwork-model"),
            ("formwork-boot", "formwork-boot-proto"),
            ("formwork-client", "formwork-api"),
            ("formwork-server", "formwork-store"),
            ("formwork-cli", "formwork-server"),
            ("xtask", "formwork-toolchain"),
        ] {
            assert!(!refused(from, to), "{from} -> {to}");
        }
    }

    #[test]
    fn arrows_between_strangers_and_upwards_are_refused() {
        for (from, to) in [
            ("formwork-model", "formwork-core"),
            ("formwork-core", "formwork-store"),
            ("formwork-store", "formwork-sandbox"),
            ("formwork-boot", "formwork-model"),
            ("formwork-agent", "formwork-server"),
            ("formwork-server", "formwork-client"),
            ("formwork-server", "formwork-cli"),
            ("formwork-cli", "formwork-store"),
            ("xtask", "formwork-model"),
        ] {
            assert!(refused(from, to), "{from} -> {to}");
        }
    }

    #[test]
    fn refusal_names_the_arrow_and_the_rule() {
        let text = arrow("formwork-boot", "host/boot", "formwork-store", None).refusal().unwrap();
        assert_eq!(text, "`formwork-boot` -> `formwork-store`: not allowed; `boot` may use: boot-proto");
    }

    #[test]
    fn toolchain_is_for_build_scripts_of_packs_and_for_tests_only() {
        let kind = |from: &str, kind| {
            let folder = format!("host/{}", short(from));
            arrow(from, &folder, "formwork-toolchain", kind).refusal().is_some()
        };
        assert!(kind("formwork-packs", None));
        assert!(!kind("formwork-packs", Some(DependencyKind::Build)));
        assert!(kind("formwork-store", Some(DependencyKind::Build)));
        assert!(!kind("formwork-sandbox", Some(DependencyKind::Dev)));
    }

    #[test]
    fn guests_use_the_sdk_and_no_host_crate() {
        for folder in ["plugins/greet", "tests/guests/spin"] {
            assert!(arrow("greet", folder, "formwork-sdk", None).refusal().is_none());
            assert!(arrow("greet", folder, "formwork-model", None).refusal().is_some());
            assert!(arrow("greet", folder, "formwork-model", Some(DependencyKind::Dev)).refusal().is_some());
        }
        assert!(arrow("formwork-sdk", "plugins/sdk", "formwork-model", None).refusal().is_some());
    }

    #[test]
    fn package_without_a_row_has_no_place() {
        assert_eq!(Place::find("formwork-attic", Path::new("host/attic")), None);
    }

    #[test]
    fn root_shows_the_listed_entries_and_dotfiles_only() {
        let mut entries: BTreeSet<String> = ROOT_ENTRIES.iter().map(|entry| (*entry).to_owned()).collect();
        entries.insert(".deny.toml".to_owned());
        assert_eq!(root_refusals(&entries), Vec::<String>::new());
        entries.insert("scripts".to_owned());
        entries.remove("LICENSE");
        let refusals = root_refusals(&entries);
        assert_eq!(refusals.len(), 2, "{refusals:?}");
        assert!(refusals.iter().any(|line| line.contains("`scripts`")));
        assert!(refusals.iter().any(|line| line.contains("`LICENSE` is missing")));
    }
}

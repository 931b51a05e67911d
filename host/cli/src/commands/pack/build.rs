//! `formwork pack build`: from the sources of components to components.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use formwork_toolchain::{Install, Language, Source, Tool};
use tokio::time::Instant;

use super::{
    embedded,
    manifest::{Component, Manifest},
};
use crate::{commands::Context, output::Output};

/// What to build.
#[derive(Clone, Debug, Args)]
struct BuildArgs {
    /// The folder of the pack
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Only this component, or these
    #[arg(long = "component", value_name = "NAME")]
    components: Vec<String>,
}

pub(super) fn command() -> Command {
    let about = "Builds the components of a pack from their sources";
    BuildArgs::augment_args(Command::new("build")).about(about).long_about(None)
}

pub(super) fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let BuildArgs { folder, components } = BuildArgs::from_arg_matches(matches)?;
    let manifest = Manifest::read(&folder)?;
    let known = |name: &&String| manifest.components.iter().all(|component| component.name != **name);
    if let Some(name) = components.iter().find(known) {
        bail!("`{}` has no component `{name}`", folder.join("pack.yaml").display());
    }
    let wanted = |component: &&Component| components.is_empty() || components.contains(&component.name);
    let mut builder = Builder::new(&folder)?;
    for component in manifest.components.iter().filter(wanted) {
        if component.source.is_empty() {
            say(&format!("{}: has no `source`, left as it is", component.name));
            continue;
        }
        builder
            .build(component, &mut context.out)
            .with_context(|| format!("component `{}`", component.name))?;
    }
    Ok(())
}

/// Builds the components of one pack.
struct Builder<'a> {
    pack: &'a Path,
    /// Where tools and standard libraries are kept for all packs.
    cache: PathBuf,
    /// The WIT packages of this program.
    wit: tempfile::TempDir,
    /// Tools that were told already.
    told: BTreeSet<String>,
}

impl<'a> Builder<'a> {
    fn new(pack: &'a Path) -> Result<Self> {
        let wit = tempfile::tempdir().context("failed to make a temporary folder")?;
        embedded::write_wit(wit.path()).context("failed to write the WIT packages")?;
        Ok(Self { pack, cache: cache()?, wit, told: BTreeSet::new() })
    }

    fn build(&mut self, component: &Component, out: &mut Output) -> Result<()> {
        let folder = self.pack.join(&component.source);
        let folder =
            folder.canonicalize().with_context(|| format!("failed to find `{}`", folder.display()))?;
        let language = Language::of(&folder)?;
        say(&format!("{}: {}", component.name, language.as_str()));
        let tool = Tool::find(language, &folder, &self.cache, Install::Never)?;
        let described = tool.describe();
        if self.told.insert(described.clone()) {
            say(&format!("  by {described}"));
        }
        // Packs that were made by `pack new` have packages of their own beside the component.
        let own = folder.with_file_name("wit");
        let source = Source {
            wit: if own.is_dir() { own } else { self.wit.path().to_owned() },
            folder,
            kind: component.kind.clone(),
            capabilities: component.capabilities(),
        };
        let start = Instant::now();
        let wasm = tool.build(&source)?;
        let file = format!("components/{}.wasm", component.name);
        write_whole(&self.pack.join(&file), &wasm)?;
        let seconds = start.elapsed().as_secs_f64();
        out.line(&format!("{file}  {}  {} bytes  {seconds:.1} s", component.kind, wasm.len()))
    }
}

/// Writes a file at once: whoever looks sees the old one or the new one.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || format!("failed to write `{}`", path.display());
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    file.persist(path).with_context(failed)?;
    Ok(())
}

/// The folder for what is found out or installed once per user.
fn cache() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("formwork"))
}

/// Tells how far it is, apart from the results.
fn say(words: &str) {
    // Nobody is left to tell when standard error is closed.
    io::stderr().write_all(format!("{words}\n").as_bytes()).ok();
}

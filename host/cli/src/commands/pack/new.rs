//! `formwork pack new`: a pack to begin with.

use std::{env, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};

use super::{
    embedded,
    manifest::{NAME_RULE, is_name},
    scaffold::{self, Kind, Language, RESERVED},
};
use crate::{commands::Context, failure::UsageError};

/// What to make.
#[derive(Clone, Debug, Args)]
struct NewArgs {
    /// The name of the pack, of its folder and of its component
    name: String,
    /// The language of the component
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    language: Language,
    /// What the component is for
    #[arg(long, value_enum, default_value_t = Kind::Task)]
    kind: Kind,
}

pub(super) fn command() -> Command {
    let about = "Makes the folder of a new pack, with a component to begin with";
    NewArgs::augment_args(Command::new("new")).about(about).long_about(None)
}

pub(super) fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let NewArgs { name, language, kind } = NewArgs::from_arg_matches(matches)?;
    let here = env::current_dir().context("failed to find the working folder")?;
    let written = make(&here, &name, kind, language)?;
    let out = &mut context.out;
    out.line(&format!("made  {name}/, {written} files: a {} in {}", kind.word(), language.title()))?;
    out.line(&format!("next  cd {name} && formwork pack build && formwork pack test"))
}

/// Writes the files of a new pack and returns how many.
fn make(parent: &Path, name: &str, kind: Kind, language: Language) -> Result<usize> {
    if !is_name(name) {
        bail!(UsageError(format!("name `{}` must be {NAME_RULE}", name.escape_debug())));
    }
    if RESERVED.contains(&name) {
        bail!(UsageError(format!("name `{name}` is taken\nhint: another than {}", RESERVED.join(", "))));
    }
    let folder = parent.join(name);
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        bail!(UsageError(format!("`{}` is there already", folder.display())));
    }
    let files = scaffold::files(name, kind, language);
    for (path, text) in &files {
        let path = folder.join(path);
        embedded::write(&path, text).with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    Ok(files.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_stays_as_it_is() {
        let parent = tempfile::tempdir().unwrap();
        make(parent.path(), "hello", Kind::Task, Language::Python).unwrap();
        let program = parent.path().join("hello/source/hello/app.py");
        fs::write(&program, "mine").unwrap();
        let refused = make(parent.path(), "hello", Kind::Task, Language::Python).unwrap_err();
        assert!(refused.to_string().ends_with("is there already"), "{refused}");
        assert_eq!(fs::read_to_string(program).unwrap(), "mine");
    }

    #[test]
    fn a_name_that_cannot_be_a_component_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["", "Hello", "1st", "a/b", "..", "core", "sdk"] {
            assert!(make(parent.path(), name, Kind::Task, Language::Rust).is_err(), "{name}");
        }
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}

//! `formwork pack test`: plays the scenarios of a pack against simulated machines.

mod scenario;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};

use self::scenario::Scenario;
use super::source;
use crate::{commands::Context, input};

/// What is tested.
#[derive(Clone, Debug, Args)]
struct TestArgs {
    /// The folder of the pack
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Only scenarios whose names have this in them
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Show each step and its log
    #[arg(long)]
    verbose: bool,
}

pub(super) fn command() -> Command {
    let about = "Plays the scenarios in `tests/` against simulated machines";
    TestArgs::augment_args(Command::new("test")).about(about).long_about(None)
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let TestArgs { folder, only, verbose } = TestArgs::from_arg_matches(matches)?;
    let files = scenarios(&folder)?;
    let chosen: Vec<&PathBuf> = files
        .iter()
        .filter(|file| only.as_ref().is_none_or(|word| name(file).contains(word.as_str())))
        .collect();
    if chosen.is_empty() {
        bail!(
            "`{}` has no scenario to play\nhint: write one: tests/NAME.yaml",
            folder.join("tests").display()
        );
    }
    let mut failed = 0;
    for file in &chosen {
        let pack = source::read(&folder)?.into_pack();
        let scenario = read(file)?;
        let played = scenario.play(pack).await.with_context(|| format!("`{}`", file.display()))?;
        for (machine, steps) in played.machines.iter().filter(|_| verbose) {
            if played.machines.len() > 1 {
                context.out.line(&format!("{machine}:"))?;
            }
            for step in steps {
                context.out.line(&scenario::line(step))?;
            }
        }
        let word = if played.faults.is_empty() { "ok" } else { "FAILED" };
        let steps = match played.machines.iter().map(|(_, steps)| steps.len()).sum() {
            1 => String::from("1 step"),
            steps => format!("{steps} steps"),
        };
        context.out.line(&format!("{word:<6}  {}  ({steps})", name(file)))?;
        for fault in &played.faults {
            context.out.line(&format!("        {fault}"))?;
        }
        failed += usize::from(!played.faults.is_empty());
    }
    context.out.line(&format!("{} passed, {failed} failed", chosen.len() - failed))?;
    if failed > 0 { bail!("{failed} of {} scenarios failed", chosen.len()) } else { Ok(()) }
}

fn name(file: &Path) -> std::borrow::Cow<'_, str> {
    file.file_stem().unwrap_or_default().to_string_lossy()
}

/// Returns the scenarios of a pack, by name.
fn scenarios(folder: &Path) -> Result<Vec<PathBuf>> {
    let tests = folder.join("tests");
    if !tests.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(&tests).with_context(|| format!("failed to read `{}`", tests.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Scenario> {
    let text = input::file(&file.display().to_string())?;
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false, };
    serde_saphyr::from_str_with_options(&text, options).with_context(|| format!("`{}`", file.display()))
}

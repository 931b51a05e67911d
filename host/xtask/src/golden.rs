//! `cargo xtask golden`: fills in what Go makes of the golden cases of templates, or checks that it still does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::go;
use crate::report::say;
use crate::shell;
use crate::workspace::Workspace;

/// What to do with the results.
#[derive(Debug, clap::Args)]
pub(crate) struct GoldenArgs {
    /// Change nothing, and fail when a result of Go is another one than what is checked in.
    #[arg(long)]
    check: bool,
}

/// Runs the oracle over all cases.
pub(crate) fn run(args: &GoldenArgs) -> Result<()> {
    let workspace = Workspace::read()?;
    let oracle = go::oracle(&workspace)?;
    if args.check {
        return compare(&workspace, &oracle);
    }
    let cases = cases(&workspace);
    shell::run(Command::new(oracle).arg("fill").arg(&cases))?;
    say(&format!("golden: {} cases in `{}`", count(&cases)?, workspace.relative(&cases).display()));
    Ok(())
}

/// Fails when Go has other results than those that are checked in. Without a Go that can do it, returns why.
pub(crate) fn check(workspace: &Workspace) -> Result<Option<String>> {
    match go::oracle(workspace) {
        Ok(oracle) => compare(workspace, &oracle).map(|()| None),
        Err(error) => Ok(Some(format!("{error:#}").replace('\n', "; "))),
    }
}

fn cases(workspace: &Workspace) -> PathBuf {
    go::folder(workspace).join("cases")
}

/// Fills a copy and looks what has changed.
fn compare(workspace: &Workspace, oracle: &Path) -> Result<()> {
    let cases = cases(workspace);
    let again = workspace.target.join("peers/cases");
    copy(&cases, &again)?;
    shell::run(Command::new(oracle).arg("fill").arg(&again))?;
    let mut differ = Vec::new();
    for file in files(&cases)? {
        let name = file.file_name().unwrap_or_default();
        let (before, now) = (read(&file)?, read(&again.join(name))?);
        differ
            .extend(differences(&before, &now).into_iter().map(|case| format!("{}: {case}", name.display())));
    }
    if differ.is_empty() {
        say(&format!("golden: {} cases, all as Go has them", count(&cases)?));
        return Ok(());
    }
    bail!(
        "{} cases are not as Go has them:\n{}\nhint: `cargo xtask golden` fills them in",
        differ.len(),
        differ.join("\n")
    )
}

/// Returns the templates whose results are others. The words of an error are those of a version of Go, and do not count.
fn differences(before: &[Value], now: &[Value]) -> Vec<String> {
    let parts = ["output", "fails", "line"];
    let same = |(before, now): (&Value, &Value)| parts.iter().all(|part| before.get(part) == now.get(part));
    let pairs = before.iter().zip(now).filter(|pair| !same(*pair));
    pairs.map(|(case, _)| case.get("template").unwrap_or(&Value::Null).to_string()).collect()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to read `{}`", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    // What all cases share is no list of cases.
    files.retain(|file| file.file_name().is_some_and(|name| name != "data.json"));
    files.sort();
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("failed to remove `{}`", to.display()))?;
    }
    fs::create_dir_all(to).with_context(|| format!("failed to make `{}`", to.display()))?;
    for file in files(from)?.into_iter().chain([from.join("data.json")]) {
        let target = to.join(file.file_name().unwrap_or_default());
        fs::copy(&file, &target).with_context(|| format!("failed to copy `{}`", file.display()))?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file).with_context(|| format!("failed to read `{}`", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("`{}` is no list of cases", file.display()))
}

fn count(cases: &Path) -> Result<usize> {
    files(cases)?.iter().map(|file| Ok(read(file)?.len())).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn case_differs_by_its_result_and_not_by_the_words_of_an_error() {
        let before = [
            json!({"template": "a", "output": "1"}),
            json!({"template": "b", "fails": "render", "line": 1, "message": "old words"}),
            json!({"template": "c", "fails": "parse", "line": 2, "message": "words"}),
        ];
        let mut now = before.clone();
        now[1]["message"] = json!("new words");
        assert!(differences(&before, &now).is_empty());
        now[0]["output"] = json!("2");
        now[2]["line"] = json!(3);
        assert_eq!(differences(&before, &now), ["\"a\"", "\"c\""]);
        assert_eq!(differences(&now, &before).len(), 2);
    }
}

//! The oracle of templates: a program of Go below the target folder; nothing of it becomes part of the product.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// The oldest Go that has all that the cases ask of it, `1.24` as `go.mod` says.
const OLDEST: (u32, u32) = (1, 24);

/// The folder of the oracle's sources, with its cases in `cases`.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.root.join("host/template/tests/golden")
}

/// Builds the oracle and returns its program.
///
/// # Errors
///
/// There is no Go, it is too old, or its modules can neither be fetched nor are they there from an earlier time.
pub(crate) fn oracle(workspace: &Workspace) -> Result<PathBuf> {
    let go = find()?;
    let program = workspace.target.join("peers/oracle");
    let mut build = Command::new(go);
    build.current_dir(folder(workspace)).args(["build", "-o"]).arg(&program).arg(".");
    // Another Go is not fetched, and `go.mod` stays as it is.
    build.env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=readonly");
    shell::stdout(&mut build).context(
        "failed to build the oracle of templates\nhint: its modules come from the proxy of Go's modules, once",
    )?;
    Ok(program)
}

/// Returns a Go that is new enough: the one on `PATH`, else the one where its own archive puts it.
fn find() -> Result<PathBuf> {
    let usual = || Some(PathBuf::from("/usr/local/go/bin/go")).filter(|file| file.is_file());
    let Some(go) = shell::find_program("go").or_else(usual) else {
        bail!(
            "there is no Go\nhint: install Debian's `golang-go` from Debian 13 on, or the archive of go.dev into `/usr/local`"
        );
    };
    let version = shell::stdout(Command::new(&go).env("GOTOOLCHAIN", "local").args(["env", "GOVERSION"]))?;
    check(&go, &version)?;
    Ok(go)
}

fn check(go: &Path, version: &str) -> Result<()> {
    let mut parts = version.trim_start_matches("go").split(['.', ' ']).map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => Ok(()),
        _ => bail!(
            "`{}` is {version}, and Go {}.{} or newer is needed\nhint: put a newer one before it on `PATH`",
            go.display(),
            OLDEST.0,
            OLDEST.1
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_go_is_refused_by_its_number() {
        let go = Path::new("/usr/bin/go");
        for version in ["go1.24", "go1.24.3", "go1.100.1", "go2.0"] {
            check(go, version).unwrap();
        }
        for version in ["go1.19.8", "go1.9", "devel", ""] {
            let error = check(go, version).unwrap_err().to_string();
            assert!(error.contains("1.24 or newer"), "{error}");
        }
    }
}

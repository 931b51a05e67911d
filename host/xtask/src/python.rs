//! Virtual environments of Python below the target folder; nothing of them becomes part of the product.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// What a virtual environment is made from; its copy in there says that it is complete.
pub(crate) const REQUIREMENTS: &str = "requirements.txt";

/// Makes the virtual environment when it is not there, or was made from other requirements, and returns its Python.
pub(crate) fn environment(folder: &Path, place: &Path) -> Result<PathBuf> {
    let wanted = folder.join(REQUIREMENTS);
    let wanted_text =
        fs::read_to_string(&wanted).with_context(|| format!("failed to read `{}`", wanted.display()))?;
    let (stamp, python) = (place.join(REQUIREMENTS), place.join("bin/python"));
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|text| text == wanted_text) {
        return Ok(python);
    }
    let Some(system) = shell::find_program("python3") else { bail!("there is no `python3`") };
    shell::stdout(Command::new(system).args(["-m", "venv", "--clear"]).arg(place))
        .context("failed to make a virtual environment\nhint: install `python3-venv`")?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    // Without a network the reason is to come soon.
    install.args(["--retries", "1", "--timeout", "20", "--requirement"]).arg(&wanted);
    shell::stdout(&mut install).context("failed to install the packages of Python")?;
    fs::write(&stamp, wanted_text).with_context(|| format!("failed to write `{}`", stamp.display()))?;
    Ok(python)
}

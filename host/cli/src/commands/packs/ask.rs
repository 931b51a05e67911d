//! Shows what a pack asks for and asks whether it may have it.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Result, bail};
use comfy_table::{Table, presets};
use formwork_model::{InstalledPack, PackGrant};

/// Shows what a version asks for, and asks at a terminal whether it may have what is new in it.
///
/// # Errors
///
/// There is nobody to ask: the error has the flags that answer.
pub(super) fn consent(pack: &InstalledPack, wider: &[PackGrant]) -> Result<bool> {
    let mut error = io::stderr();
    writeln!(error, "{}", asked(pack, wider))?;
    if !io::stdin().is_terminal() {
        bail!("pack `{}` needs consent\nhint: install it again with {}", pack.name, flags(wider));
    }
    write!(error, "Allow this? [y/N] ")?;
    error.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Returns a table of all that a version asks for; what no version before it was allowed is marked.
fn asked(pack: &InstalledPack, wider: &[PackGrant]) -> String {
    let incoming = pack.incoming.as_ref();
    let version = incoming.map(|incoming| incoming.version.as_str()).unwrap_or_default();
    let signer = incoming.map(|incoming| incoming.signer.as_str()).filter(|signer| !signer.is_empty());
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["", "Component", "Asks for"]);
    for grant in incoming.map(|incoming| incoming.asked.as_slice()).unwrap_or_default() {
        let mark = if wider.contains(grant) { "new" } else { "" };
        table.add_row([mark, &grant.component, &grant.line]);
    }
    let signed =
        signer.map_or_else(|| String::from("not signed by anybody known"), |id| format!("signed by {id}"));
    format!("{} {version}, {signed}\n{}", pack.name, table.trim_fmt())
}

/// Returns the flags that allow some grants, ready for a shell.
fn flags(wider: &[PackGrant]) -> String {
    let flag = |grant: &PackGrant| format!("--grant '{}'", grant.line.replace('\'', "'\\''"));
    let mut flags: Vec<String> = wider.iter().map(flag).collect();
    flags.sort();
    flags.dedup();
    flags.join(" ")
}

#[cfg(test)]
mod tests {
    use formwork_model::IncomingPack;

    use super::*;

    fn grant(line: &str) -> PackGrant {
        PackGrant { component: "probe".into(), line: line.into() }
    }

    #[test]
    fn all_is_shown_and_what_is_new_is_marked() {
        let asked_for = vec![grant("params: read a"), grant("http: https://bmc.example/*")];
        let incoming =
            IncomingPack { version: "2.0.0".into(), asked: asked_for.clone(), ..IncomingPack::default() };
        let pack =
            InstalledPack { name: "acme".into(), incoming: Some(incoming), ..InstalledPack::default() };
        let text = asked(&pack, &asked_for[1..]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "acme 2.0.0, not signed by anybody known");
        assert!(lines[2].contains("params: read a") && !lines[2].contains("new"), "{text}");
        assert!(lines[3].contains("new") && lines[3].contains("http: https://bmc.example/*"), "{text}");
    }

    #[test]
    fn flags_are_safe_in_a_shell_and_each_is_there_once() {
        let wider = [grant("params: read a"), grant("exec: it's"), grant("params: read a")];
        assert_eq!(flags(&wider), r"--grant 'exec: it'\''s' --grant 'params: read a'");
    }
}

//! `formwork agent install`: has systemd start the agent at each boot.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command as Process,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use formwork_client::Client;
use formwork_model::{Machine, Record as _};

use crate::{commands::Context, failure::UsageError};

/// The name of the service.
const SERVICE: &str = "formwork-agent.service";

/// Where programs of the administrator are.
const PROGRAM: &str = "usr/local/bin/formwork";

/// What the service is told: where the endpoint is and by what it knows the machine.
const SETTINGS: &str = "etc/formwork/agent.env";

/// Where units of the administrator are, and what a start of the system wants.
const UNITS: &str = "etc/systemd/system";
const WANTED: &str = "etc/systemd/system/multi-user.target.wants";

/// How long the service's token is good: a machine that was off for longer is installed again. The agent goes on with fresh
/// tokens while it runs, and keeps none of them.
const TOKEN_LIFE: &str = "3y";

/// Flags of the installation.
#[derive(Clone, Debug, Args)]
pub(super) struct InstallArgs {
    /// The root of a system that is being installed, as /target; that of this one by default
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Only write the files; the service starts at the next boot
    #[arg(long)]
    no_start: bool,
}

/// Installs the service of a machine.
pub(super) async fn run(
    args: InstallArgs,
    machine: Option<String>,
    state_dir: &Path,
    context: &mut Context,
) -> Result<()> {
    if !args.root.is_dir() {
        bail!(UsageError(format!("`{}` is not a folder", args.root.display())));
    }
    let is_here = args.root == Path::new("/");
    if is_here && !Path::new("/run/systemd/system").exists() {
        bail!(UsageError(String::from(
            "systemd does not run here\nhint: start `formwork agent` from what starts services on this system"
        )));
    }
    let client = context.client()?;
    let uuid = match machine {
        Some(uuid) => uuid,
        None => this_machine(&client, state_dir).await?,
    };
    let token = client.agent_token(Machine::KIND, &uuid, TOKEN_LIFE).await;
    let token = token.with_context(|| format!("failed to get a token of machine {uuid}"))?.token;
    let at = |path: &str| args.root.join(path);
    let program = installed_program(&at(PROGRAM), is_here)?;
    // Before the unit, which is of no use without them; and nobody else may read the token.
    let lines = [
        ("RS_ENDPOINT", context.settings.endpoint.url.as_str()),
        ("RS_TOKEN", token.as_str()),
        ("RS_UUID", uuid.as_str()),
    ];
    let settings: String = lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    write(&at(SETTINGS), &settings, 0o600)?;
    write(&at(UNITS).join(SERVICE), &unit(&program), 0o644)?;
    let (link, target) = (at(WANTED).join(SERVICE), Path::new("/").join(UNITS).join(SERVICE));
    fs::create_dir_all(at(WANTED)).and_then(|()| linked(&target, &link)).with_context(|| failed(&link))?;
    if is_here && !args.no_start {
        for words in [["daemon-reload"].as_slice(), &["restart", SERVICE]] {
            let status = Process::new("systemctl").args(words).status().context("failed to run systemctl")?;
            if !status.success() {
                bail!("`systemctl {}` ended with {status}", words.join(" "));
            }
        }
    }
    context.out.line(&format!("machine {uuid} runs its agent as {SERVICE} of {}", args.root.display()))
}

/// Asks the endpoint which machine this is.
async fn this_machine(client: &Client, state_dir: &Path) -> Result<String> {
    let known = client.whoami(&formwork_agent::this_machine(state_dir)).await?;
    if known.result.uuid.is_empty() {
        bail!(UsageError(String::from(
            "the endpoint knows no machine with this hardware\nhint: give its UUID with `--uuid`, or run `formwork agent` \
             once, which registers it"
        )));
    }
    Ok(known.result.uuid)
}

/// Returns where the service finds this program, as its system sees the path: where it is when that is a place of the system,
/// else a copy.
fn installed_program(place: &Path, is_here: bool) -> Result<PathBuf> {
    let own = std::env::current_exe().context("failed to find this program")?;
    if is_here && own.starts_with("/usr") {
        return Ok(own);
    }
    if own != place {
        let parent = place.parent().unwrap_or(place);
        // A program that runs cannot be written to, but another can take its place.
        let fresh = place.with_extension("new");
        let copied = fs::create_dir_all(parent)
            .and_then(|()| fs::copy(&own, &fresh))
            .and_then(|_| fs::rename(&fresh, place));
        copied.with_context(|| failed(place))?;
    }
    Ok(Path::new("/").join(PROGRAM))
}

/// Returns the unit. A stop of the service gives a running job time to be broken off in order; the agent ends by itself only for
/// good, so that a failure has it started again.
fn unit(program: &Path) -> String {
    format!(
        "[Unit]\n\
         Description=Formwork agent\n\
         Documentation=man:systemd.service(5)\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         \n\
         [Service]\n\
         EnvironmentFile=/{SETTINGS}\n\
         ExecStart={} agent\n\
         Restart=on-failure\n\
         RestartSec=5\n\
         TimeoutStopSec=30\n\
         KillMode=mixed\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        program.display()
    )
}

/// Writes a file whole, or leaves what was there.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let fresh = path.with_extension("new");
    let written = || -> io::Result<()> {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        // What an earlier one left may have another mode.
        fs::remove_file(&fresh).or_else(gone)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    written().with_context(|| failed(path))
}

fn linked(target: &Path, link: &Path) -> io::Result<()> {
    fs::remove_file(link).or_else(gone)?;
    symlink(target, link)
}

fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn failed(path: &Path) -> String {
    format!("failed to write `{}`", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn file_with_a_token_is_for_its_owner_alone_whatever_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etc/agent.env");
        for text in ["A=1\n", "A=2\n"] {
            write(&path, text, 0o600).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }

    #[test]
    fn link_takes_the_place_of_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join(SERVICE);
        for target in ["/a", "/b"] {
            linked(Path::new(target), &link).unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), Path::new(target));
        }
    }

    #[test]
    fn unit_names_the_program_and_the_file_with_its_settings() {
        let unit = unit(Path::new("/usr/bin/formwork"));
        assert!(unit.contains("\nExecStart=/usr/bin/formwork agent\n"), "{unit}");
        assert!(unit.contains("\nEnvironmentFile=/etc/formwork/agent.env\n"), "{unit}");
    }
}

//! The product on one of the hosts.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{Daemon, Namespace, output, until};

/// The first user, with a password that only this network hears.
const KEY: &str = "rocketskates:laboratory";

/// How long the endpoint may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `formwork serve`. Dropping it ends it.
#[derive(Debug)]
pub struct Endpoint<'a> {
    daemon: Daemon,
    host: &'a Namespace,
    program: PathBuf,
    data: PathBuf,
}

impl<'a> Endpoint<'a> {
    /// Starts the program with `flags` on a host, its data below `folder`, and waits until it answers. `before` are words in front
    /// of the program, such as `taskset -c 0`.
    ///
    /// # Errors
    /// It ended, or does not answer; the error has its last words.
    pub fn start(
        host: &'a Namespace,
        program: &Path,
        folder: &Path,
        flags: &[&str],
        before: &[&str],
    ) -> Result<Self> {
        let data = folder.join("data");
        fs::create_dir_all(data.join("tftpboot"))
            .with_context(|| format!("failed to make `{}`", data.display()))?;
        let mut serve = host.command(before.first().map_or(program, Path::new));
        if let Some(rest) = before.get(1..) {
            serve.args(rest).arg(program);
        }
        serve.args(["serve", "--first-user", KEY, "--base-root"]).arg(&data).args(flags);
        let daemon = Daemon::start(serve, &folder.join("endpoint.log"))?;
        let mut endpoint = Self { daemon, host, program: program.to_owned(), data };
        endpoint.until_it_answers().with_context(|| endpoint.daemon.tail(5))?;
        Ok(endpoint)
    }

    /// Returns the process, for figures of it.
    #[must_use]
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Returns the folder of files that machines boot from.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.data.join("tftpboot")
    }

    /// Returns the command line client, on the host of the endpoint.
    #[must_use]
    pub fn client(&self) -> Command {
        let mut command = self.host.command(&self.program);
        command.env("RS_ENDPOINT", "https://127.0.0.1:8092").env("RS_KEY", KEY).env_remove("RS_TOKEN");
        command
    }

    /// Runs one command of the client and returns the JSON that it printed.
    ///
    /// # Errors
    /// It failed, or printed something else.
    pub fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let text = output(self.client().args(["--format", "json"]).args(arguments))?;
        serde_json::from_str(&text)
            .with_context(|| format!("`formwork {}` printed no JSON", arguments.join(" ")))
    }

    /// Makes an object of a kind such as `subnets`.
    ///
    /// # Errors
    /// The endpoint refused it.
    pub fn create(&self, kind: &str, object: &Value) -> Result<()> {
        let file = self.data.join("object.json");
        let mut written =
            File::create(&file).with_context(|| format!("failed to write `{}`", file.display()))?;
        written.write_all(object.to_string().as_bytes()).context("failed to write an object")?;
        let read = File::open(&file).with_context(|| format!("failed to read `{}`", file.display()))?;
        output(self.client().args([kind, "create", "-"]).stdin(Stdio::from(read))).map(drop)
    }

    fn until_it_answers(&mut self) -> Result<()> {
        let mut last = None;
        until(PATIENCE, "the first answer of the endpoint", || {
            self.daemon.check()?;
            match self.ask(&["prefs", "list"]) {
                Ok(_) => Ok(Some(())),
                Err(error) => {
                    last = Some(error);
                    Ok(None)
                }
            }
        })
        .map_err(|error| last.map_or(error, |last| last.context("the endpoint does not answer")))
    }
}

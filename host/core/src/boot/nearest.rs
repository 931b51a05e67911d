//! The smallest change with which a client would have booted.

use std::{fmt, sync::Arc};

use formwork_model::{BootEnv, Machine, Objects, ObjectsExt, Preference};

use super::{Asks, Choice, Client, Offer, decide, is_bootable};
use crate::staged::Staged;

/// The boot environments that are tried.
const MAX_TRIED: usize = 100;

/// The environment that is tried first for an unknown machine.
const DISCOVERY: &str = "discovery";

/// One thing that an operator can do. Its text says what, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Unknown machines boot another environment.
    UnknownBootEnv(String),
    /// The machine boots another environment.
    BootEnv {
        /// The UUID of the machine.
        machine: String,
        /// The environment.
        env: String,
    },
    /// A loader comes into the file root.
    Loader(String),
    /// A file of an environment comes into the file root.
    EnvFile {
        /// The environment.
        env: String,
        /// The path below the file root.
        path: String,
    },
}

/// What would have to be done, and what the client would boot then.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// All of it is needed.
    pub edits: Vec<Edit>,
    /// The choice after that.
    pub choice: Choice,
}

/// Returns the change that takes the least and makes a client boot; `None` where it boots already, or where no change of
/// these kinds helps. `files` tells whether the file root has a file.
#[must_use]
pub fn nearest(objects: &impl Objects, client: &Client<'_>, files: &dyn Fn(&str) -> bool) -> Option<Nearest> {
    let now = decide(objects, client, files);
    if boots(&now, client) {
        let edits = missing(&now, client, files);
        return (!edits.is_empty()).then_some(Nearest { edits, choice: now });
    }
    let mut best: Option<Nearest> = None;
    for env in candidates(objects, client) {
        let (edit, mut staged) = (edit(client, &env), Staged::new(objects));
        match client.machine.and_then(|uuid| objects.get::<Machine>(uuid)) {
            Some(machine) => {
                staged.put(Arc::new(Machine { boot_env: env.name.clone(), ..machine.as_ref().clone() }));
            }
            None => staged.put(Arc::new(Preference {
                name: String::from("unknownBootEnv"),
                val: env.name.clone(),
                ..Preference::default()
            })),
        }
        // The script of the present environment is not that of another.
        let client = Client { script: None, ..*client };
        let choice = decide(&staged, &client, files);
        if !boots(&choice, &client) {
            continue;
        }
        let mut edits = vec![edit];
        edits.extend(missing(&choice, &client, files));
        if best.as_ref().is_none_or(|best| edits.len() < best.edits.len()) {
            best = Some(Nearest { edits, choice });
        }
    }
    best
}

fn edit(client: &Client<'_>, env: &BootEnv) -> Edit {
    match client.machine {
        Some(machine) => Edit::BootEnv { machine: machine.to_owned(), env: env.name.clone() },
        None => Edit::UnknownBootEnv(env.name.clone()),
    }
}

/// Tells whether a client is told to boot something that is more than a way back to its disk.
fn boots(choice: &Choice, client: &Client<'_>) -> bool {
    let bootable = choice.env.as_ref().is_some_and(|env| is_bootable(env, client.platform));
    bootable && choice.offer != Offer::Nothing
}

/// Returns the environments that the client could be given, the likeliest first.
fn candidates(objects: &impl Objects, client: &Client<'_>) -> Vec<Arc<BootEnv>> {
    let mut found = objects.list::<BootEnv>();
    found.retain(|env| env.only_unknown == client.machine.is_none() && is_bootable(env, client.platform));
    found.sort_by_key(|env| env.name != DISCOVERY);
    found.truncate(MAX_TRIED);
    found
}

/// Returns the files that a choice needs and the file root lacks. What firmware is given is not looked for where it is a
/// whole URL.
fn missing(choice: &Choice, client: &Client<'_>, files: &dyn Fn(&str) -> bool) -> Vec<Edit> {
    let lacks = |path: &str| !path.contains("://") && !files(path);
    let mut edits = Vec::new();
    match &choice.offer {
        Offer::Tftp(file) if lacks(file) => edits.push(Edit::Loader(file.clone())),
        Offer::Http(file) if client.asks != Asks::Script && lacks(file) => {
            edits.push(Edit::Loader(file.clone()));
        }
        _ => {}
    }
    let Some(env) = &choice.env else { return edits };
    let arch = client.platform.arch();
    let boot = env.for_arch(arch);
    for file in std::iter::once(&boot.kernel).chain(&boot.initrds).filter(|file| !file.is_empty()) {
        let path = format!("{}/{}", env.install_tree(arch), file.trim_start_matches('/'));
        if lacks(&path) {
            edits.push(Edit::EnvFile { env: env.name.clone(), path });
        }
    }
    edits
}

impl fmt::Display for Edit {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownBootEnv(env) => write!(to, "set the preference `unknownBootEnv` to `{env}`"),
            Self::BootEnv { machine, env } => write!(to, "set `BootEnv` of machine {machine} to `{env}`"),
            Self::Loader(file) => {
                write!(to, "put `{file}` into the file root: `formwork loaders import`")
            }
            Self::EnvFile { env, path } => {
                write!(to, "put `{path}` into the file root: `formwork bootenvs fetch {env}`")
            }
        }
    }
}

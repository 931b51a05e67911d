//! What a client boots (drp-behaviour.md 5.7, drp-api.md 15.2), and why.
//!
//! | module | holds |
//! |---|---|
//! | `loaders` | the files that firmware can start, by platform |
//! | `customize` | what the parameter `bootenv-customize` changes in a boot environment |
//! | `nearest` | the smallest change with which a client would have booted |
//!
//! A machine asks several times in one boot: its firmware, then the loader that the firmware fetched. iPXE, which tells
//! that it asks, never gets a loader that is iPXE itself, else it would load itself for ever. So a BIOS machine that is in
//! iPXE already gets a script and neither `undionly.kpxe` nor `ipxe.pxe`; that one only stands in for `undionly.kpxe`.

mod customize;
mod loaders;
mod nearest;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use formwork_model::{BootEnv, Machine, Object, Objects, ObjectsExt, Profile};

use self::loaders::{Own, own_loader, usual_loader};
pub use self::{
    customize::{customized, may_customize},
    loaders::{Asks, Platform},
    nearest::{Edit, Nearest, nearest},
};
use crate::{machine, params, preferences};

/// The script that iPXE gets when there is none for its network card.
pub const DEFAULT_SCRIPT: &str = "default.ipxe";

/// What the choice depends on besides the objects.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The UUID of the machine that has the network card; none for an unknown one.
    pub machine: Option<&'a str>,
    /// The path of the script that iPXE runs for this very network card, where its boot environment has one.
    pub script: Option<&'a str>,
    /// What it can run.
    pub platform: Platform,
    /// How it fetches what it runs.
    pub asks: Asks,
}

/// What a client is told to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Nothing: the firmware goes on to its next boot device.
    Nothing,
    /// A file by TFTP.
    Tftp(String),
    /// A path on the file server, or a whole URL.
    Http(String),
}

/// What a client boots, and how that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What it is told.
    pub offer: Offer,
    /// The rule that decided.
    pub rule: Rule,
    /// The boot environment, as it is for this client.
    pub env: Option<Arc<BootEnv>>,
    /// What was looked at before, in order, and why it was not taken.
    pub passed_over: Vec<PassedOver>,
}

/// The rules by which a client gets what it gets. The text of one is half a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The environment that should say it does not exist.
    NoBootEnv(String),
    /// The environment has nothing to boot.
    NothingToBoot(String),
    /// There is no loader for what the client can run.
    NoLoader(Platform),
    /// iPXE gets the script for its network card.
    MachineScript,
    /// iPXE gets the script for everybody.
    DefaultScript,
    /// The environment has a loader for the platform.
    EnvLoader(String),
    /// The environment has a loader for the architecture.
    ArchLoader(String),
    /// A parameter has a loader for the platform; with whose it is.
    ParamLoader(String),
    /// The platform's usual loader.
    UsualLoader,
    /// What takes the place of the usual loader, which is not there.
    StandIn,
}

/// Something that was looked at and not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// The environment has nothing to boot for the architecture.
    NoKernel {
        /// The environment.
        env: String,
        /// The architecture.
        arch: &'static str,
    },
    /// The environment has no script for the network card.
    NoScript(String),
    /// The environment has no loader of its own.
    NoEnvLoader {
        /// The environment.
        env: String,
        /// What its loader would be for.
        key: &'static str,
    },
    /// The parameter has no loader.
    NoParamLoader(&'static str),
    /// The loader is not in the file root.
    NotThere(String),
    /// The loader is iPXE, which asks.
    LoadsItself(String),
}

/// Decides what a client boots. `files` tells whether the file root has a file; it is asked for usual loaders only, three
/// times at most.
#[must_use]
pub fn decide(
    objects: &(impl Objects + ?Sized),
    client: &Client<'_>,
    files: &dyn Fn(&str) -> bool,
) -> Choice {
    let machine = client.machine.and_then(|uuid| objects.get::<Machine>(uuid));
    let mut passed_over = Vec::new();
    let Some(env) = written_env(objects, machine.as_deref()) else {
        let rule = Rule::NoBootEnv(env_name(objects, machine.as_deref()));
        return Choice { offer: Offer::Nothing, rule, env: None, passed_over };
    };
    let unknown = unknown_machine();
    let subject: &dyn Object = machine.as_deref().map_or(&unknown, |machine| machine);
    let levels = params::levels(objects, subject);
    let env = customized(objects, &levels, env);
    let own = own_loader(objects, &levels, (&env, client.platform), &mut passed_over);
    let boots = is_bootable(&env, client.platform);
    if !boots {
        let arch = client.platform.arch();
        passed_over.insert(0, PassedOver::NoKernel { env: env.name.clone(), arch });
    }
    // A script is made for a known machine that boots nothing too, and sends it on to its disk. The file server says what
    // an unknown machine does; one that nothing is meant for is left alone.
    let meant = boots || own.is_some() || (machine.is_some() && client.script.is_some());
    let (offer, rule) = if meant {
        offer(client, machine.is_some(), &env, own, files, &mut passed_over)
    } else {
        (Offer::Nothing, Rule::NothingToBoot(env.name.clone()))
    };
    Choice { offer, rule, env: Some(env), passed_over }
}

fn offer(
    client: &Client<'_>,
    is_known: bool,
    env: &BootEnv,
    own: Option<Own>,
    files: &dyn Fn(&str) -> bool,
    passed_over: &mut Vec<PassedOver>,
) -> (Offer, Rule) {
    if client.asks == Asks::Script {
        if let Some(script) = client.script.filter(|_| is_known) {
            return (Offer::Http(script.to_owned()), Rule::MachineScript);
        }
        // An environment that has only files for another loader is of use to iPXE once that loader runs.
        if let Some(own) = own.filter(|_| is_known) {
            if !loaders::is_ipxe(&own.file) {
                passed_over.push(PassedOver::NoScript(env.name.clone()));
                return (Offer::Tftp(own.file), own.rule);
            }
            passed_over.push(PassedOver::LoadsItself(own.file));
        }
        return (Offer::Http(DEFAULT_SCRIPT.to_owned()), Rule::DefaultScript);
    }
    let chosen = match own {
        Some(own) => Some((own.file, own.rule)),
        None => usual_loader(client.platform, files, passed_over),
    };
    let Some((file, rule)) = chosen else { return (Offer::Nothing, Rule::NoLoader(client.platform)) };
    match client.asks {
        Asks::File => (Offer::Tftp(file), rule),
        Asks::Url | Asks::Script => (Offer::Http(file), rule),
    }
}

/// Returns the boot environment of a machine, or that of unknown ones, as it is for them: with what the parameter
/// `bootenv-customize` changes.
#[must_use]
pub fn env_for(objects: &(impl Objects + ?Sized), machine: Option<&Machine>) -> Option<Arc<BootEnv>> {
    let env = written_env(objects, machine)?;
    let unknown = unknown_machine();
    let subject: &dyn Object = machine.map_or(&unknown, |machine| machine);
    Some(customized(objects, &params::levels(objects, subject), env))
}

/// Returns the environment that says what a machine boots, or what unknown ones do.
fn written_env(objects: &(impl Objects + ?Sized), machine: Option<&Machine>) -> Option<Arc<BootEnv>> {
    match machine {
        Some(machine) => machine::boot_env(objects, machine),
        None => objects.get::<BootEnv>(&preferences::value(objects, "unknownBootEnv")),
    }
}

fn env_name(objects: &(impl Objects + ?Sized), machine: Option<&Machine>) -> String {
    match machine {
        Some(machine) if !machine.boot_env.is_empty() => machine.boot_env.clone(),
        Some(_) => preferences::value(objects, "defaultBootEnv"),
        None => preferences::value(objects, "unknownBootEnv"),
    }
}

/// Returns what parameters are looked up for where there is no machine: it has those of the profile `global`.
fn unknown_machine() -> Profile {
    Profile { profiles: vec![String::from("global")], ..Profile::default() }
}

/// Tells whether an environment has something to boot on a platform: one that is for other architectures has not.
fn is_bootable(env: &BootEnv, platform: Platform) -> bool {
    let arch = platform.arch();
    env.arches().contains(arch) && !env.for_arch(arch).kernel.is_empty()
}

impl fmt::Display for Rule {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBootEnv(env) => write!(to, "the boot environment `{env}` does not exist"),
            Self::NothingToBoot(env) => write!(to, "the boot environment `{env}` has nothing to boot"),
            Self::NoLoader(platform) => write!(to, "there is no loader for {platform}"),
            Self::MachineScript => to.write_str("iPXE runs the script for this network card"),
            Self::DefaultScript => to.write_str("iPXE runs the script for every machine without its own"),
            Self::EnvLoader(env) => write!(to, "`Loaders` of the boot environment `{env}` names the file"),
            Self::ArchLoader(env) => {
                write!(to, "the boot environment `{env}` names the file for the architecture")
            }
            Self::ParamLoader(owner) => {
                write!(to, "the param `{}` of {owner} names the file", loaders::PARAM)
            }
            Self::UsualLoader => to.write_str("it is the usual loader of the platform"),
            Self::StandIn => to.write_str("it stands in for the usual loader of the platform"),
        }
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKernel { env, arch: "" } => {
                write!(to, "the boot environment `{env}` has no kernel for this architecture")
            }
            Self::NoKernel { env, arch } => {
                write!(to, "the boot environment `{env}` has no kernel for {arch}")
            }
            Self::NoScript(env) => {
                write!(to, "the boot environment `{env}` has no iPXE script for this network card")
            }
            Self::NoEnvLoader { env, key } => {
                write!(to, "the boot environment `{env}` has no loader for {key}")
            }
            Self::NoParamLoader(key) => {
                write!(to, "the param `{}` has no value for {key}", loaders::PARAM)
            }
            Self::NotThere(file) => write!(to, "`{file}` is not in the file root"),
            Self::LoadsItself(file) => write!(to, "`{file}` is iPXE, which runs already"),
        }
    }
}

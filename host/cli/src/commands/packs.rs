//! `formwork pack install | list | show | rollback | remove | grants`: what operators do with packs on an endpoint.
//!
//! Results go to standard output; what is asked of the operator, and how far an upload is, to standard error.

mod ask;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches as _};
use formwork_client::{Client, Query};
use formwork_model::{InstalledPack, PackGrant, PackState, Record as _};

use super::Context;
use crate::{arguments::text, failure::UsageError, progress};

/// The longest upload that an endpoint takes, in bytes.
const MAX_UPLOAD_BYTES: u64 = 256 << 20;

/// The time between two looks at a pack that is on its way.
const LOOK: Duration = Duration::from_millis(200);

/// What is installed, and how.
#[derive(Clone, Debug, Args)]
struct InstallArgs {
    /// A `.fwpack` file, or a component
    file: PathBuf,
    /// Allow this line of what the pack asks for; `all` allows whatever it asks
    #[arg(long = "grant", value_name = "LINE")]
    grants: Vec<String>,
    /// Allow what the pack asks for without a question, after it was shown
    #[arg(long)]
    yes: bool,
    /// The name of the pack that a component by itself becomes
    #[arg(long)]
    name: Option<String>,
    /// The kind of a component by itself [default: told by what it exports]
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Install a version that is older than the one in use
    #[arg(long)]
    allow_downgrade: bool,
    /// Let its objects take the place of writable ones
    #[arg(long)]
    replace_writable: bool,
}

pub(super) fn commands() -> Vec<Command> {
    let name = || Arg::new("name").value_name("NAME").help("The name of the pack").required(true);
    let install = |word: &'static str, about: &'static str| {
        InstallArgs::augment_args(Command::new(word)).about(about).long_about(None)
    };
    vec![
        install("install", "Installs a pack, or another version of it"),
        install("upgrade", "The same as install"),
        Command::new("list").about("Lists packs"),
        Command::new("show").about("Shows a pack").arg(name()),
        Command::new("rollback").about("Brings the version before the one in use back").arg(name()),
        Command::new("remove").about("Removes a pack with all that is in it").arg(name()),
        Command::new("grants").about("Lists what a pack may do, and whether it ever did").arg(name()),
    ]
}

pub(super) async fn run(verb: &str, matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let argument = |name| if matches.try_contains_id(name).is_ok() { text(matches, name) } else { "" };
    let name = argument("name");
    let columns = InstalledPack::KIND.columns;
    match verb {
        "install" | "upgrade" => {
            let arguments = InstallArgs::from_arg_matches(matches)?;
            let pack = install(&client, arguments).await?;
            context.out.row(&pack, columns)
        }
        "list" => context.out.value(&client.list::<InstalledPack>(&Query::new()).await?, columns),
        "show" => context.out.value(&client.get::<InstalledPack>(name).await?, columns),
        "rollback" => context.out.row(&client.pack_roll_back(name).await?, columns),
        "grants" => {
            let grants = client.pack_grants(name).await?;
            context.out.value(&grants, &["Component", "Line", "Last", "Count", "NeverUsed"])
        }
        _ => {
            client.delete::<InstalledPack>(name).await?;
            context.out.line(&format!("Deleted pack {name}"))
        }
    }
}

/// Uploads a pack, asks for what it needs, and returns its record when it is in use.
async fn install(client: &Client, arguments: InstallArgs) -> Result<InstalledPack> {
    let sent = upload(client, &arguments).await?;
    // The record of a pack that is in use already has the digest of the upload; that of another has it in `Incoming`.
    let digest = sent.incoming.as_ref().map_or(&sent.digest, |incoming| &incoming.digest).clone();
    let ended = follow(client, sent, &digest).await?;
    let Some(wider) = open_question(&ended, &digest) else { return in_use(ended, &digest) };
    let agreed = arguments.yes || ask::consent(&ended, &wider)?;
    if !agreed {
        bail!("pack `{}` was not installed", ended.name);
    }
    let lines = wider.iter().map(|grant| grant.line.as_str());
    let resumed = client.pack_allow(&digest, lines).await?;
    in_use(follow(client, resumed, &digest).await?, &digest)
}

/// Sends the file.
async fn upload(client: &Client, arguments: &InstallArgs) -> Result<InstalledPack> {
    let failed = || format!("failed to read `{}`", arguments.file.display());
    let file = tokio::fs::File::open(&arguments.file).await.with_context(failed)?;
    let metadata = file.metadata().await.with_context(failed)?;
    if !metadata.is_file() {
        bail!(UsageError(format!(
            "`{}` is no file\nhint: `formwork pack bundle` makes one of a folder",
            arguments.file.display()
        )));
    }
    if metadata.len() > MAX_UPLOAD_BYTES {
        bail!(
            "`{}` is longer than the {MAX_UPLOAD_BYTES} bytes that an endpoint takes",
            arguments.file.display()
        );
    }
    let mut query = Query::new();
    for line in &arguments.grants {
        query.push("grant", line);
    }
    for (name, value) in [("name", &arguments.name), ("kind", &arguments.kind)] {
        if let Some(value) = value {
            query.push(name, value);
        }
    }
    for (name, wanted) in
        [("allow-downgrade", arguments.allow_downgrade), ("replaceWritable", arguments.replace_writable)]
    {
        if wanted {
            query.push(name, true);
        }
    }
    let bar = progress::bar(Some(metadata.len()));
    let shown = bar.clone();
    let sent = client.pack_upload(file, metadata.len(), &query, move |count| shown.set_position(count)).await;
    bar.finish_and_clear();
    Ok(sent?)
}

/// Follows a version with a digest until it is ready or refused; says where it is.
async fn follow(client: &Client, mut pack: InstalledPack, digest: &str) -> Result<InstalledPack> {
    let spinner = progress::spinner("received");
    while let Some(incoming) =
        pack.incoming.as_ref().filter(|incoming| incoming.digest == digest && incoming.is_under_way())
    {
        let state = serde_json::to_value(incoming.state)?;
        spinner.set_message(state.as_str().unwrap_or_default().to_owned());
        spinner.tick();
        tokio::time::sleep(LOOK).await;
        pack = client.get(&pack.name).await?;
    }
    spinner.finish_and_clear();
    Ok(pack)
}

/// Returns what a version asks for beyond what it was allowed, if that is all that keeps it from use.
fn open_question(pack: &InstalledPack, digest: &str) -> Option<Vec<PackGrant>> {
    let incoming = pack.incoming.as_ref()?;
    let asks =
        incoming.digest == digest && incoming.state == PackState::Refused && incoming.code == "NeedsConsent";
    asks.then(|| incoming.wider.clone())
}

/// Returns the record if a version is in use, and why not otherwise.
fn in_use(pack: InstalledPack, digest: &str) -> Result<InstalledPack> {
    if pack.is_in_use() && pack.digest == digest {
        return Ok(pack);
    }
    match pack.incoming.filter(|incoming| incoming.digest == digest) {
        Some(incoming) => {
            bail!("version {} of pack `{}` was refused\n{}", incoming.version, pack.name, incoming.reason)
        }
        None => bail!("another version took the place of this one; `formwork pack show {}` tells", pack.name),
    }
}

//! `formwork pack bundle`, `sign` and `key`: from a folder to a file that says who made it.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use formwork_model::Timestamp;
use formwork_packs::{Archive, Signer, SigningKey};
use serde_json::json;

use super::source;
use crate::{
    arguments::{optional, text},
    commands::Context,
};

/// What is bundled.
#[derive(Clone, Debug, Args)]
struct BundleArgs {
    /// The folder of the pack
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The file; NAME-VERSION.fwpack in the working folder by default
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign it with this key
    #[arg(short, long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// What is signed.
#[derive(Clone, Debug, Args)]
struct SignArgs {
    /// The pack: a file `.fwpack`, which is replaced by the signed one
    file: PathBuf,
    /// The key
    #[arg(short, long, value_name = "FILE")]
    key: PathBuf,
}

pub(super) fn command() -> Command {
    let about = "Puts a pack into one file, signed where a key is given";
    BundleArgs::augment_args(Command::new("bundle")).about(about).long_about(None)
}

pub(super) fn sign_command() -> Command {
    let about = "Signs a pack file, in place of an earlier signature";
    SignArgs::augment_args(Command::new("sign")).about(about).long_about(None)
}

pub(super) fn key_command() -> Command {
    let file = || clap::Arg::new("file").value_name("FILE").required(true).help("The file of the key");
    let id = || {
        let help = "What operators are to call the publisher [default: the id of the key]";
        clap::Arg::new("id").long("id").value_name("NAME").help(help)
    };
    Command::new("key")
        .about("Makes a key for signing, and shows its public half")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("new").about("Makes a key in a new file").arg(file()).arg(id()))
        .subcommand(
            Command::new("show").about("Shows what operators need to trust a key").arg(file()).arg(id()),
        )
}

pub(super) fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let BundleArgs { folder, out, key } = BundleArgs::from_arg_matches(matches)?;
    let archive = source::read(&folder)?;
    let manifest = archive.manifest();
    let out = out.unwrap_or_else(|| PathBuf::from(format!("{}-{}.fwpack", manifest.name, manifest.version)));
    let key = key.as_deref().map(SigningKey::load).transpose()?;
    write(&archive, key.as_ref(), &out)?;
    tell(&archive, key.as_ref(), &out, context)
}

pub(super) fn sign(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let SignArgs { file, key } = SignArgs::from_arg_matches(matches)?;
    let archive = source::read(&file)?;
    let key = SigningKey::load(&key)?;
    write(&archive, Some(&key), &file)?;
    tell(&archive, Some(&key), &file, context)
}

pub(super) fn key(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let Some((verb, matches)) = matches.subcommand() else { return Ok(()) };
    let file = PathBuf::from(text(matches, "file"));
    if verb == "new" {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::from).context("there are no random bytes")?;
        SigningKey::from_seed(&seed).save(&file)?;
    }
    let public = SigningKey::load(&file)?.public();
    let id = optional(matches, "id").map_or_else(|| public.id(), str::to_owned);
    // It is what `publishers create` takes.
    let publisher = json!({"Id": id, "PublicKey": public.to_string()});
    context.out.value(&publisher, &[])?;
    let hint = format!("operators trust it with: formwork publishers create '{publisher}'\n");
    // Nobody is left to tell when standard error is closed.
    io::stderr().write_all(hint.as_bytes()).ok();
    Ok(())
}

/// Writes a file at once: whoever looks sees the old one or the new one.
fn write(archive: &Archive, key: Option<&SigningKey>, out: &Path) -> Result<()> {
    let failed = || format!("failed to write `{}`", out.display());
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    archive.write(file.as_file_mut(), key.map(|key| Signer { key, now: now() })).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(out).with_context(failed)?;
    Ok(())
}

fn tell(archive: &Archive, key: Option<&SigningKey>, out: &Path, context: &mut Context) -> Result<()> {
    let bytes = fs::metadata(out).map(|file| file.len()).unwrap_or(0);
    let manifest = archive.manifest();
    context.out.value(
        &json!({
            "File": out, "Name": manifest.name, "Version": manifest.version, "Digest": archive.digest(),
            "Members": manifest.members.len(), "Bytes": bytes, "Signer": key.map(|key| key.public().id()),
        }),
        &[],
    )
}

#[expect(clippy::disallowed_methods, reason = "a signature says when it was made")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

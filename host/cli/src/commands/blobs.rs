//! `formwork files` and `formwork isos`: what clients keep on an endpoint as files.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};
use formwork_client::{BlobKind, BlobSent, Client};
use tokio::fs::File;

use super::Context;
use crate::{arguments::text, failure::UsageError, progress};

pub(super) fn commands() -> [Command; 2] {
    [
        command("files", "files", "Lists, sends and fetches files").mut_subcommand("upload", |upload| {
            upload.arg(
                Arg::new("explode")
                    .long("explode")
                    .action(ArgAction::SetTrue)
                    .help("Also take the archive apart where it is"),
            )
        }),
        command("isos", "archives", "Lists, sends and fetches the archives of boot environments"),
    ]
}

fn command(word: &'static str, noun: &str, about: &'static str) -> Command {
    let name = || Arg::new("name").required(true).help("The name on the endpoint, as DIR/NAME");
    let keyword = |own: &'static str, id: &'static str| Arg::new(id).value_parser([own]).hide(true);
    Command::new(word)
        .about(about)
        .subcommand_required(true)
        .subcommand(
            Command::new("list")
                .about(format!("Lists {noun}; names of folders end with a slash"))
                .arg(Arg::new("folder").help("The folder [default: the top]"))
                .arg(
                    Arg::new("all")
                        .long("all")
                        .action(ArgAction::SetTrue)
                        .help("Also what is in its folders"),
                ),
        )
        .subcommand(
            Command::new("upload")
                .about("Sends a file: upload FILE [as NAME]")
                .override_usage(format!("formwork {word} upload FILE [as NAME]"))
                .arg(Arg::new("file").required(true).help("The file; `-` is standard input"))
                .arg(keyword("as", "as").requires("target"))
                .arg(
                    Arg::new("target")
                        .value_name("NAME")
                        .help("The name on the endpoint [default: the file's]"),
                ),
        )
        .subcommand(
            Command::new("download")
                .about("Fetches a file: download NAME [to FILE]")
                .override_usage(format!("formwork {word} download NAME [to FILE]"))
                .arg(name())
                .arg(keyword("to", "to").requires("target"))
                .arg(Arg::new("target").value_name("FILE").help("Where to [default: standard output]")),
        )
        .subcommand(
            Command::new("exists").about("Tells by the exit code whether there is a file").arg(name()),
        )
        .subcommand(Command::new("destroy").about("Removes a file or an empty folder").arg(name()))
}

pub(super) async fn run(kind: BlobKind, matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let Some((verb, matches)) = matches.subcommand() else { return Ok(()) };
    let argument = |name| if matches.try_contains_id(name).is_ok() { text(matches, name) } else { "" };
    let name = argument("name");
    match verb {
        "list" => {
            let names = client.blobs(kind, argument("folder"), matches.get_flag("all")).await?;
            if context.out.is_table() {
                return names.iter().try_for_each(|name| context.out.line(name));
            }
            context.out.value(&names, &[])
        }
        "upload" => {
            let explode = kind == BlobKind::Files && matches.get_flag("explode");
            let sent = upload(&client, kind, (argument("file"), argument("target")), explode).await?;
            context.out.row(&sent, &["Path", "Size"])
        }
        "download" => download(&client, (kind, name), argument("target")).await,
        "exists" => match client.blob_exists(kind, name).await? {
            true => Ok(()),
            false => bail!("GET: {}/{name}: Not Found", kind.word()),
        },
        _ => {
            client.blob_remove(kind, name).await?;
            context.out.line(&format!("Deleted {} {name}", kind.word().trim_end_matches('s')))
        }
    }
}

/// Sends a file under the name that was given, or its own.
async fn upload(
    client: &Client,
    kind: BlobKind,
    (file, name): (&str, &str),
    explode: bool,
) -> Result<BlobSent> {
    if file == "-" {
        if name.is_empty() {
            bail!(UsageError(String::from("standard input has no name\nhint: add `as NAME`")));
        }
        let bar = progress::bar(None);
        let shown = bar.clone();
        let counted = move |count| shown.set_position(count);
        let sent = client.blob_send((kind, name), tokio::io::stdin(), (None, explode), counted).await;
        bar.finish_and_clear();
        return Ok(sent?);
    }
    let failed = || format!("failed to read `{file}`");
    let opened = File::open(file).await.with_context(failed)?;
    let metadata = opened.metadata().await.with_context(failed)?;
    if !metadata.is_file() {
        bail!(UsageError(format!("`{file}` is no file")));
    }
    let own = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = if name.is_empty() { own } else { name };
    let bar = progress::bar(Some(metadata.len()));
    let shown = bar.clone();
    let counted = move |count| shown.set_position(count);
    let sent = client.blob_send((kind, name), opened, (Some(metadata.len()), explode), counted).await;
    bar.finish_and_clear();
    Ok(sent?)
}

/// Fetches a file. One that has a name here appears under it when all of it is there.
async fn download(client: &Client, (kind, name): (BlobKind, &str), target: &str) -> Result<()> {
    let bar = progress::bar(None);
    let received = |count, length: Option<u64>| {
        if let Some(length) = length {
            bar.set_length(length);
        }
        bar.set_position(count);
    };
    if matches!(target, "" | "-") {
        let fetched = client.blob_fetch(kind, name, &mut tokio::io::stdout(), received).await;
        bar.finish_and_clear();
        return fetched.map(drop).map_err(Into::into);
    }
    let failed = || format!("failed to write `{target}`");
    let folder = Path::new(target).parent().filter(|folder| !folder.as_os_str().is_empty());
    let part = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(failed)?;
    let mut file = File::from_std(part.reopen().with_context(failed)?);
    let fetched = client.blob_fetch(kind, name, &mut file, received).await;
    bar.finish_and_clear();
    fetched?;
    file.sync_all().await.with_context(failed)?;
    part.persist(target).with_context(failed)?;
    Ok(())
}

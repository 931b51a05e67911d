//! `files` and `isos`: what clients keep on an endpoint as files. And other bytes that are sent: plugin providers,
//! releases.

use anyhow::{Context as _, Result, bail};
use formwork_client::{BlobKind, Method, Query};

use super::{Given, transfer};
use crate::{commands::Context, failure::UsageError};

fn kind(given: &Given<'_>) -> BlobKind {
    if given.name == "isos" { BlobKind::Isos } else { BlobKind::Files }
}

/// Lists names.
pub(super) async fn list(given: Given<'_>, context: &mut Context) -> Result<()> {
    let names = context.client()?.blobs(kind(&given), given.text("FOLDER"), given.is_on("all")).await?;
    context.out.value(&names, &[])
}

/// Sends a file: `upload FILE [as NAME]`.
pub(super) async fn upload(given: Given<'_>, context: &mut Context) -> Result<()> {
    let source = transfer::open(given.text("FILE")).await?;
    let name = named(&source, &given)?;
    let client = context.client()?;
    let path = std::iter::once(given.name.to_owned())
        .chain(name.split('/').filter(|part| !part.is_empty()).map(str::to_owned));
    let sent = transfer::send(client.call(Method::POST, path).query(given.query()), source).await?;
    context.out.row(&sent.value, &["Path", "Size"])
}

/// Fetches a file: `download NAME [to FILE]`.
pub(super) async fn download(given: Given<'_>, context: &mut Context) -> Result<()> {
    transfer::fetch(&context.client()?, (kind(&given), given.text("NAME")), given.text("TARGET")).await
}

/// Tells by the exit code whether there is a file.
pub(super) async fn exists(given: Given<'_>, context: &mut Context) -> Result<()> {
    let name = given.text("NAME");
    match context.client()?.blob_exists(kind(&given), name).await? {
        true => Ok(()),
        false => bail!(
            "GET: {}/{name}: Not Found\nhint: `formwork {} list --all` shows what there is",
            given.name,
            given.name
        ),
    }
}

/// Removes a file or an empty folder.
pub(super) async fn destroy(given: Given<'_>, context: &mut Context) -> Result<()> {
    let name = given.text("NAME");
    context.client()?.blob_remove(kind(&given), name).await?;
    context.out.line(&format!("Deleted {} {name}", given.noun()))
}

/// Sends the program of a plugin provider.
pub(super) async fn upload_provider(given: Given<'_>, context: &mut Context) -> Result<()> {
    let (file, name) = match (given.text("as|from"), given.optional("TARGET")) {
        // `upload NAME from FILE` of the ecosystem's tools.
        ("from", Some(file)) => (file, Some(given.text("FILE"))),
        (_, name) => (given.text("FILE"), name),
    };
    let source = transfer::open(file).await?;
    let Some(name) = name.or_else(|| Some(source.name.as_str()).filter(|name| !name.is_empty())) else {
        bail!(UsageError(String::from("standard input has no name\nhint: add `as NAME`")));
    };
    let name = name.to_owned();
    let client = context.client()?;
    let call = client.call(Method::POST, [String::from("plugin_providers"), name]).query(given.query());
    let sent = transfer::send(call, source).await?;
    context.out.value(&sent.value, &[])
}

/// Sends a release; all of it is checked there.
pub(super) async fn upload_release(given: Given<'_>, context: &mut Context) -> Result<()> {
    let stage = given.verb.words.ends_with("stage");
    let path: &[&str] = if stage { &["system", "upgrade", "stage"] } else { &["system", "upgrade"] };
    let source = transfer::open(given.text("FILE")).await?;
    let client = context.client()?;
    let sent = transfer::send(client.call(Method::POST, path.iter().copied()), source).await?;
    context.out.value(&sent.value, &[])
}

/// Sends the archive that a boot environment is made from.
pub(super) async fn upload_iso(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let object = client.collection("bootenvs").show(given.text("ID"), &Query::new()).await?;
    let name = object.pointer("/OS/IsoFile").and_then(serde_json::Value::as_str).unwrap_or_default();
    if name.is_empty() {
        bail!("boot environment `{}` has no `OS.IsoFile`", given.text("ID"));
    }
    let fetched;
    let file = match given.optional("FILE") {
        Some(file) => file,
        None => {
            let url = object.pointer("/OS/IsoUrl").and_then(serde_json::Value::as_str).unwrap_or_default();
            if url.is_empty() {
                bail!(UsageError(format!(
                    "boot environment `{}` does not say where `{name}` is\nhint: fetch it, then bootenvs uploadiso ID FILE",
                    given.text("ID")
                )));
            }
            fetched = tempfile::NamedTempFile::new().context("failed to keep what is fetched")?;
            transfer::download(url, fetched.path(), context).await?;
            fetched.path().to_str().unwrap_or_default()
        }
    };
    let source = transfer::open(file).await?;
    let sent = transfer::send(client.call(Method::POST, ["isos", name]), source).await?;
    context.out.row(&sent.value, &["Path", "Size"])
}

/// Sends the text of a template: `upload FILE as ID`.
pub(super) async fn upload_template(given: Given<'_>, context: &mut Context) -> Result<()> {
    let contents = crate::input::file(given.text("FILE"))?;
    let id = given.text("ID");
    let client = context.client()?;
    let collection = client.collection("templates").force(context.settings.force);
    let shown = if collection.exists(id).await? {
        super::edit::change(context, ("templates", id), |object| {
            super::edit::set(object, "Contents", serde_json::json!(contents))
        })
        .await?
    } else {
        collection.create(&serde_json::json!({"ID": id, "Contents": contents})).await?
    };
    context.out.value(&shown, &[])
}

/// Returns the name that a file gets.
fn named(source: &transfer::Source, given: &Given<'_>) -> Result<String> {
    match given.optional("TARGET") {
        Some(name) => Ok(name.to_owned()),
        None if source.name.is_empty() => {
            bail!(UsageError(String::from("standard input has no name\nhint: add `as NAME`")))
        }
        None => Ok(source.name.clone()),
    }
}

//! Files on their way to an endpoint and back, with a bar for people who wait.

use std::{io, path::Path};

use anyhow::{Context as _, Result, bail};
use formwork_client::{BlobKind, Call, Client, Response, download_resumed};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncWrite},
};

use crate::{commands::Context, failure::UsageError, progress};

/// A file that is sent.
pub(super) struct Source {
    /// The bytes.
    pub(super) from: Box<dyn AsyncRead + Send + Unpin>,
    /// How many there are, if that is known.
    pub(super) length: Option<u64>,
    /// The name of the file; empty for standard input.
    pub(super) name: String,
}

/// Opens a file; `-` is standard input.
pub(super) async fn open(file: &str) -> Result<Source> {
    if file == "-" {
        return Ok(Source { from: Box::new(tokio::io::stdin()), length: None, name: String::new() });
    }
    let failed = || format!("failed to read `{file}`");
    let opened = File::open(file).await.with_context(failed)?;
    let metadata = opened.metadata().await.with_context(failed)?;
    if !metadata.is_file() {
        bail!(UsageError(format!("`{file}` is no file")));
    }
    let name = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Ok(Source { from: Box::new(opened), length: Some(metadata.len()), name: name.to_owned() })
}

/// Sends a file as the body of a request.
pub(super) async fn send(call: Call<'_>, source: Source) -> Result<Response> {
    let bar = progress::bar(source.length);
    let shown = bar.clone();
    let sent = call.stream(source.from, source.length, move |count| shown.set_position(count)).send().await;
    bar.finish_and_clear();
    Ok(sent?)
}

/// Fetches a file. One that has a name here appears under it when all of it is there; without one it goes to standard
/// output.
pub(super) async fn fetch(client: &Client, (kind, name): (BlobKind, &str), target: &str) -> Result<()> {
    if matches!(target, "" | "-") {
        return receive(client, (kind, name), &mut tokio::io::stdout()).await;
    }
    let failed = || format!("failed to write `{target}`");
    let folder = Path::new(target).parent().filter(|folder| !folder.as_os_str().is_empty());
    let part = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(failed)?;
    let mut file = File::from_std(part.reopen().with_context(failed)?);
    receive(client, (kind, name), &mut file).await?;
    file.sync_all().await.with_context(failed)?;
    part.persist(target).with_context(failed)?;
    Ok(())
}

async fn receive(
    client: &Client,
    (kind, name): (BlobKind, &str),
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<()> {
    let bar = progress::bar(None);
    let received = |count, length: Option<u64>| {
        if let Some(length) = length {
            bar.set_length(length);
        }
        bar.set_position(count);
    };
    let fetched = client.blob_fetch(kind, name, to, received).await;
    bar.finish_and_clear();
    fetched.map(drop).map_err(Into::into)
}

/// Fetches a file from elsewhere, and goes on with the part of it that is there.
pub(super) async fn download(url: &str, part: &Path, context: &Context) -> Result<()> {
    let bar = progress::bar(None);
    let received = |count, length: Option<u64>| {
        if let Some(length) = length {
            bar.set_length(length);
        }
        bar.set_position(count);
    };
    let proxy = context.settings.download_proxy.as_deref();
    let fetched = download_resumed(url, proxy, part, received).await;
    bar.finish_and_clear();
    fetched.map(drop).map_err(Into::into)
}

/// Writes bytes under a name; all of them or none. Without a name they go to standard output.
pub(super) fn write(bytes: &[u8], target: &str, out: &mut crate::output::Output) -> Result<()> {
    if matches!(target, "" | "-") {
        return out.raw(bytes);
    }
    let failed = || format!("failed to write `{target}`");
    part_of(bytes, target).with_context(failed)?.persist(target).with_context(failed)?;
    Ok(())
}

/// Writes bytes under a name that nothing has; all of them or none, and all of them are on the disk. Only the owner can read
/// them.
pub(super) fn write_new(bytes: &[u8], target: &str) -> Result<()> {
    let failed = || format!("failed to write `{target}`");
    let part = part_of(bytes, target).with_context(failed)?;
    part.as_file().sync_all().with_context(failed)?;
    part.persist_noclobber(target).with_context(failed)?;
    Ok(())
}

/// Writes bytes into a file beside the one that they are for.
fn part_of(bytes: &[u8], target: &str) -> io::Result<tempfile::NamedTempFile> {
    let folder = Path::new(target).parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut part = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    io::Write::write_all(&mut part, bytes)?;
    Ok(part)
}

//! Metadata of objects: `meta ID`, `meta get | set | add | remove`.

use anyhow::{Result, bail};
use formwork_client::{Client, Method, PatchOp, Query};
use serde_json::{Value, json};

use super::{Given, params::pointer};
use crate::{commands::Context, input};

/// Shows all metadata.
pub(super) async fn show(given: Given<'_>, context: &mut Context) -> Result<()> {
    let meta = read(&context.client()?, &given).await?;
    context.out.value(&meta, &[])
}

/// Shows one entry.
pub(super) async fn get(given: Given<'_>, context: &mut Context) -> Result<()> {
    // `meta get ID KEY` and `meta get ID key KEY` are the same.
    let words = given.texts("KEY");
    let key = match words.as_slice() {
        ["key", key, ..] | [key, ..] => *key,
        [] => "",
    };
    let meta = read(&context.client()?, &given).await?;
    match meta.get(key) {
        Some(value) => context.out.value(value, &[]),
        None => bail!("{}/{} has no metadata `{key}`", given.name, given.text("ID")),
    }
}

/// Sets an entry, whether it is there or not; with `--ref` only if it still has that value.
pub(super) async fn set(given: Given<'_>, context: &mut Context) -> Result<()> {
    let (client, path) = (context.client()?, pointer(given.text("KEY")));
    let add = PatchOp::add(&path, given.text("VALUE"));
    let operations = match &context.settings.reference {
        Some(known) => vec![PatchOp::test(&path, input::value(known)?), add],
        None => vec![add],
    };
    let meta = write(&client, &given, &operations, context).await?;
    context.out.value(&meta, &[])
}

/// Sets an entry that is not there yet.
pub(super) async fn add(given: Given<'_>, context: &mut Context) -> Result<()> {
    let (client, key) = (context.client()?, given.text("KEY"));
    let old = read(&client, &given).await?;
    if old.get(key).is_some() {
        bail!(
            "{}/{} has metadata `{key}` already\nhint: `meta set` changes it",
            given.name,
            given.text("ID")
        );
    }
    // All of it is tested: another `add` may have come in between.
    let operations = [PatchOp::test("", old), PatchOp::add(pointer(key), given.text("VALUE"))];
    let meta = write(&client, &given, &operations, context).await?;
    context.out.value(&meta, &[])
}

/// Removes an entry.
pub(super) async fn remove(given: Given<'_>, context: &mut Context) -> Result<()> {
    let operations = [PatchOp::remove(pointer(given.text("KEY")))];
    let meta = write(&context.client()?, &given, &operations, context).await?;
    context.out.value(&meta, &[])
}

async fn read(client: &Client, given: &Given<'_>) -> Result<Value> {
    Ok(client.call(Method::GET, ["meta", given.name, given.text("ID")]).send().await?.value)
}

async fn write(
    client: &Client,
    given: &Given<'_>,
    operations: &[PatchOp],
    context: &Context,
) -> Result<Value> {
    let query = if context.settings.force { Query::new().with("force", true) } else { Query::new() };
    let call = client.call(Method::PATCH, ["meta", given.name, given.text("ID")]).query(query);
    Ok(call.json(&json!(operations))?.send().await?.value)
}

//! What can be done with one object of any type.

use std::time::Duration;

use anyhow::{Result, bail};
use formwork_client::{Method, PatchOp, Query, merged};
use formwork_model::parse_duration;
use serde_json::Value;

use super::{Given, edit};
use crate::{commands::Context, failure::UsageError, input};

/// Shows an object; with `--wait` when it has changed.
pub(super) async fn show(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let id = given.text("ID");
    let mut call = client.call(Method::GET, [given.name, id]).query(given.query());
    if let Some(time) = time(&given)? {
        call = call.until_changed(given.text("etag"), time)?;
    }
    let response = call.send().await?;
    if response.status == 304 {
        bail!("{}/{id} did not change in {}", given.name, given.text("wait"));
    }
    context.out.value(&response.value, &[])
}

/// Tells by the exit code whether there is an object; with `--wait` when it has changed.
pub(super) async fn exists(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let id = given.text("ID");
    if let Some(time) = time(&given)? {
        let call = client.call(Method::HEAD, [given.name, id]).until_changed(given.text("etag"), time)?;
        return call.send().await.map(drop).map_err(Into::into);
    }
    if !client.collection(given.name).exists(id).await? {
        // A HEAD has no words; a GET that fails the same way has them.
        client.collection(given.name).show(id, &Query::new()).await?;
    }
    Ok(())
}

/// Shows the tag of an object.
pub(super) async fn etag(given: Given<'_>, context: &mut Context) -> Result<()> {
    let tag = context.client()?.collection(given.name).etag(given.text("ID")).await?;
    context.out.line(&tag)
}

/// Makes an object.
pub(super) async fn create(given: Given<'_>, context: &mut Context) -> Result<()> {
    let Some(kind) = given.kind else { bail!(UsageError(format!("`{}` is no type", given.name))) };
    let mut object = input::object(kind, given.text("JSON"))?;
    if let (true, Some(members)) = (kind.is_declared(), object.as_object_mut()) {
        // Whoever makes an object of a declared type says which (drp-api.md 7.26).
        members.entry("Type").or_insert_with(|| kind.prefix.into());
    }
    let client = context.client()?;
    let made = client.collection(given.name).force(context.settings.force).create(&object).await?;
    context.out.value(&made, &[])
}

/// Changes the members that are given; null removes.
pub(super) fn update(given: &Given<'_>, object: &mut Value) -> Result<()> {
    let changes = given.value("JSON")?;
    if !changes.is_object() {
        bail!(UsageError(String::from(
            "the changes are a map of members\nhint: such as '{\"Description\": \"new\"}'"
        )));
    }
    *object = merged(object, &changes);
    Ok(())
}

/// Applies a JSON patch to an object, or makes the object as it was what it is to be.
pub(super) async fn patch(given: Given<'_>, context: &mut Context) -> Result<()> {
    let (old, new) = (given.text("OLD"), given.value("PATCH")?);
    let client = context.client()?;
    let collection = client.collection(given.name).force(context.settings.force);
    if new.is_array() {
        let operations: Vec<PatchOp> = serde_json::from_value(new)
            .map_err(|error| UsageError(format!("this is no JSON patch: {error}")))?;
        return context.out.value(&collection.patch(old, &operations).await?, &[]);
    }
    let old = input::value(old)?;
    let key = given.kind.and_then(|kind| old.get(kind.key)).and_then(Value::as_str);
    let Some(key) = key.filter(|_| new.is_object()) else {
        bail!(UsageError(String::from(
            "give an id and a JSON patch, or the object as it was and its changes\n\
             hint: a JSON patch is a list such as '[{\"op\": \"replace\", \"path\": \"/Name\", \"value\": \"x\"}]'"
        )));
    };
    let operations = PatchOp::between(&old, &merged(&old, &new));
    context.out.value(&collection.patch(key, &operations).await?, &[])
}

/// Removes an object.
pub(super) async fn destroy(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let id = given.text("ID");
    client.collection(given.name).force(context.settings.force).destroy(id).await?;
    context.out.line(&format!("Deleted {} {id}", given.noun()))
}

/// Reads how long to wait for a change; seconds when it has no unit.
fn time(given: &Given<'_>) -> Result<Option<Duration>> {
    let Some(text) = given.optional("wait") else { return Ok(None) };
    match parse_duration(text, Duration::from_secs(1)) {
        Some(time) => Ok(Some(time)),
        None => bail!(UsageError(format!("`{text}` is no time\nhint: such as 90, 30s or 5m"))),
    }
}

/// Sets members of an object, for verbs that set one.
pub(super) async fn set_member(
    context: &mut Context,
    (prefix, id): (&str, &str),
    (member, value): (&str, Value),
) -> Result<()> {
    let changed = edit::change(context, (prefix, id), |object| edit::set(object, member, value)).await?;
    context.out.value(&changed, &[])
}

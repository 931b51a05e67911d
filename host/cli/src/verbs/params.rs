//! Params of objects.

use anyhow::{Result, bail};
use formwork_client::{Client, Method, PatchOp, Query};
use serde_json::{Value, json};

use super::Given;
use crate::{commands::Context, failure::UsageError, input};

/// Shows all params, or replaces them.
pub(super) async fn params(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let id = given.text("ID");
    let shown = match given.optional("JSON") {
        Some(params) => {
            let params = input::value(params)?;
            let Value::Object(params) = params else {
                bail!(UsageError(String::from("params are a map of names and values")));
            };
            let collection = client.collection(given.name).force(context.settings.force);
            let params = collection.sealed_all(id, &params).await?;
            collection.params_set(id, &Value::Object(params)).await?
        }
        None => client.call(Method::GET, [given.name, id, "params"]).query(given.query()).send().await?.value,
    };
    context.out.value(&shown, &[])
}

/// Shows where the value of a param comes from. People read a table of the sources; programs get all of it.
pub(super) async fn explain(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let name = given.optional("TYPE").unwrap_or(given.name);
    let path = [name, given.text("ID"), "params", given.text("KEY")];
    let query = given.query().with("explain", "true");
    let told = client.call(Method::GET, path).query(query).send().await?.value;
    if !context.out.is_table() {
        return context.out.value(&told, &[]);
    }
    let levels = told.get("Levels").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut rows: Vec<Value> = levels.iter().map(source).collect();
    let ends = [("default of the schema", "Default"), ("composed", "Composed"), ("value", "Value")];
    rows.extend(
        ends.map(|(source, member)| json!({"Source": source, "Value": told.get(member), "Wins": ""})),
    );
    context.out.value(&rows, &["Source", "Value", "Wins"])
}

/// Returns a source of a param as a row for people.
fn source(level: &Value) -> Value {
    let text = |member: &str| level.get(member).and_then(Value::as_str).unwrap_or_default();
    let wins = level.get("Wins").and_then(Value::as_bool).unwrap_or_default();
    json!({
        "Source": format!("{}/{}", text("Prefix"), text("Key")),
        "Value": level.get("Value"),
        "Wins": if wins { "yes" } else { "" },
    })
}

/// Sets a param: `set ID param KEY to VALUE`. With `--ref` only if it still has that value.
pub(super) async fn set(given: Given<'_>, context: &mut Context) -> Result<()> {
    let value = value(&given)?;
    let client = context.client()?;
    let collection = client.collection(given.name).force(context.settings.force);
    let (id, key) = (given.text("ID"), given.text("KEY"));
    let value = collection.sealed(id, key, &value).await?;
    let shown = match &context.settings.reference {
        Some(known) => {
            let path = pointer(key);
            let known = input::value(known)?;
            let operations = [PatchOp::test(&path, known), PatchOp::replace(&path, value)];
            let params = patch(&client, &given, &operations, context.settings.force).await?;
            params.get(key).cloned().unwrap_or_default()
        }
        None => collection.param_set(id, key, &value).await?,
    };
    context.out.value(&shown, &[])
}

/// Sets a param that is not there yet.
pub(super) async fn add(given: Given<'_>, context: &mut Context) -> Result<()> {
    let value = value(&given)?;
    let client = context.client()?;
    let collection = client.collection(given.name);
    let (id, key) = (given.text("ID"), given.text("KEY"));
    let old = collection.params(id, false).await?;
    if old.contains_key(key) {
        bail!("{}/{id} has param `{key}` already\nhint: `set` changes it", given.name);
    }
    let value = collection.sealed(id, key, &value).await?;
    // All of them are tested: another `add` may have come in between.
    let operations = [PatchOp::test("", json!(old)), PatchOp::add(pointer(key), value)];
    let params = patch(&client, &given, &operations, context.settings.force).await?;
    context.out.value(params.get(key).unwrap_or(&Value::Null), &[])
}

/// Reads the value: `to VALUE`, or `from FILE`.
fn value(given: &Given<'_>) -> Result<Value> {
    let argument = given.text("VALUE");
    match given.text("to|from") {
        "from" => input::parse(&input::file(argument)?),
        _ => input::value(argument),
    }
}

async fn patch(client: &Client, given: &Given<'_>, operations: &[PatchOp], force: bool) -> Result<Value> {
    let query = if force { Query::new().with("force", true) } else { Query::new() };
    let call = client.call(Method::PATCH, [given.name, given.text("ID"), "params"]).query(query);
    Ok(call.json(&json!(operations))?.send().await?.value)
}

/// Returns a name as a JSON pointer.
pub(super) fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Shows a param.
pub(super) async fn get(given: Given<'_>, context: &mut Context) -> Result<()> {
    let path = super::request::path("{type}/{ID}/params/{KEY/}", &given);
    let client = context.client()?;
    let value = client.call(Method::GET, path).query(given.query()).send().await?.value;
    context.out.value(&value, &[])
}

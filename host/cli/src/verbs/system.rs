//! The endpoint itself: what it says of itself, its settings, its certificates.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use formwork_client::{Method, Query};
use serde_json::{Value, json};

use super::Given;
use crate::{commands::Context, failure::UsageError, input};

/// Tells in one line that the endpoint answers.
pub(super) async fn check(_: Given<'_>, context: &mut Context) -> Result<()> {
    let info = context.client()?.info().await?;
    context.out.line(&format!("{} {}", info.id, info.version))
}

/// Shows what of the endpoint is on.
pub(super) async fn status(_: Given<'_>, context: &mut Context) -> Result<()> {
    let info = serde_json::to_value(context.client()?.info().await?)?;
    let members = info.as_object().cloned().unwrap_or_default();
    let shown = members.into_iter().filter(|(name, _)| {
        matches!(
            name.as_str(),
            "id" | "version" | "address" | "ha_status" | "ha_is_active" | "ha_enabled" | "stats"
        ) || name.ends_with("_enabled")
            || name.ends_with("_port")
    });
    let shown: BTreeMap<String, Value> = shown.collect();
    context.out.value(&shown, &[])
}

/// Shows one setting.
pub(super) async fn preference(given: Given<'_>, context: &mut Context) -> Result<()> {
    let name = given.text("NAME");
    match context.client()?.prefs().await?.get(name) {
        Some(value) => context.out.line(value),
        None => bail!("there is no preference `{name}`\nhint: `formwork prefs list` shows all"),
    }
}

/// Makes the body of a change of settings.
pub(super) fn preferences(given: &Given<'_>) -> Result<Value> {
    let words = given.texts("PAIR");
    if let [map] = words.as_slice() {
        let changes: BTreeMap<String, String> = serde_json::from_value(input::value(map)?)
            .map_err(|_| UsageError(String::from("give NAME VALUE pairs, or a JSON map of texts")))?;
        return Ok(json!(changes));
    }
    let pairs: BTreeMap<&str, &str> = given.pairs("PAIR")?.into_iter().collect();
    Ok(json!(pairs))
}

/// Makes the body of a new password.
#[expect(clippy::unnecessary_wraps, reason = "it stands where other bodies can fail")]
pub(super) fn password(given: &Given<'_>) -> Result<Value> {
    Ok(json!({"Password": given.text("SECRET")}))
}

/// Makes the body of a certificate: two files in PEM.
pub(super) fn certificate(given: &Given<'_>) -> Result<Value> {
    let read = |name| input::file(given.text(name)).map(|text| STANDARD.encode(text));
    Ok(json!({"Cert": read("CERTFILE")?, "Key": read("KEYFILE")?}))
}

/// Fetches what the endpoint tells of its own program: bytes, for standard output or a file.
pub(super) async fn debug(given: Given<'_>, context: &mut Context) -> Result<()> {
    let word = given.optional("SECONDS|TARGET");
    let number = word.filter(|word| word.parse::<u64>().is_ok());
    let mut query = Query::new();
    if let Some(seconds) = given.optional("seconds").or(number) {
        query.push("seconds", seconds);
    }
    let target = word.filter(|_| number.is_none()).unwrap_or_default();
    // The endpoint is silent as long as it looks.
    let client = context.client()?;
    let call = client.call(Method::GET, ["debug", given.text("KIND")]).query(query).patiently();
    super::transfer::write(&call.send().await?.bytes, target, &mut context.out)
}

/// Shows a URL of a file that needs no other credentials, as it is to be given to others.
pub(super) async fn sign_url(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let signed = client.sign_url(given.text("URL"), given.optional("ttl")).await?;
    context.out.line(&signed.url)
}

/// Starts the upgrade to the release that was staged.
pub(super) async fn start_upgrade(_: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    client.call(Method::POST, ["system", "upgrade", "run"]).json(&json!({}))?.send().await?;
    context.out.line("The upgrade has begun; `formwork system upgrade status` tells how far it is")
}

/// Makes the body of a work order: `run BLUEPRINT on MACHINE`.
pub(super) async fn run_blueprint(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let machine = client.collection("machines").show(given.text("MACHINE"), &Query::new()).await?;
    let mut order = json!({"Blueprint": given.text("BLUEPRINT"), "Machine": machine.get("Uuid")});
    if let (Some(params), Some(order)) = (given.optional("JSON"), order.as_object_mut()) {
        order.insert(String::from("Params"), input::value(params)?);
    }
    let made = client.collection("work_orders").create(&order).await?;
    context.out.value(&made, &[])
}

/// Sends bytes as the body of a request: part of a staged update of content.
pub(super) async fn add_staged(given: Given<'_>, context: &mut Context) -> Result<()> {
    let source = super::transfer::open(given.text("FILE")).await?;
    let client = context.client()?;
    let path = ["content_archives", "update", given.text("TOKEN"), "add"];
    let is_bundle = [".json", ".yaml", ".yml"].iter().any(|ending| source.name.ends_with(ending));
    let sent = match is_bundle {
        true => {
            let bundle = super::contents::bundle(given.text("FILE"), context).await?.1;
            client.call(Method::POST, path).json(&bundle)?.send().await?
        }
        false => super::transfer::send(client.call(Method::POST, path), source).await?,
    };
    context.out.value(&sent.value, &["Name", "Version", "Path", "Size"])
}

/// Makes the bundle of what support needs to know: what the endpoint says of itself, its log, and lists without params.
pub(super) async fn support(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let mut bundle = serde_json::Map::new();
    let machine = given.optional("ID");
    let paths: Vec<Vec<&str>> = match machine {
        Some(id) => vec![vec!["machines", id], vec!["info"]],
        None => ["info", "prefs", "logs", "contents", "plugin_providers", "plugins", "subnets"]
            .map(|word| vec![word])
            .into(),
    };
    for path in paths {
        let name = path.join("/");
        let query = if path.len() == 1 && !matches!(name.as_str(), "info" | "prefs" | "logs" | "contents") {
            Query::new().with("slim", "Params")
        } else {
            Query::new()
        };
        match client.call(Method::GET, path).query(query).send().await {
            Ok(answer) => bundle.insert(name, answer.value),
            Err(error) => bundle.insert(name, json!({"error": error.chain()})),
        };
    }
    if let Some(uuid) = machine.and_then(|id| bundle.get(&format!("machines/{id}"))?.get("Uuid")?.as_str()) {
        let query = Query::new().with("Machine", format!("Eq({uuid})"));
        let jobs = client.collection("jobs").list(&query).await?;
        bundle.insert(String::from("jobs"), json!(jobs));
    }
    let text = format!("{}\n", serde_json::to_string_pretty(&bundle)?);
    super::transfer::write(text.as_bytes(), given.text("TARGET"), &mut context.out)
}

//! What happens on the endpoint: `events`, `logs watch`.

use anyhow::{Context as _, Result};
use formwork_api::Event;
use formwork_client::Query;
use serde_json::Value;

use super::Given;
use crate::{commands::Context, failure::UsageError, input};

/// Shows events as they happen, one JSON line each.
pub(super) async fn watch(given: Given<'_>, context: &mut Context) -> Result<()> {
    let filters = given.texts("EVENT");
    let filters = if filters.is_empty() { vec!["*.*.*"] } else { filters };
    let client = context.client()?;
    let since = given.number("since")?;
    let mut events = match since {
        Some(revision) => client.events_since(revision, &filters).await?,
        None => client.events().await?,
    };
    if since.is_none() {
        for filter in filters {
            events.register(filter).await?;
        }
    }
    loop {
        let event = events.next().await.context("the events end")?;
        let summary =
            format!("{} {}.{} {} by {}", event.time, event.r#type, event.action, event.key, event.principal);
        context.out.item(&event, &summary)?;
    }
}

/// Sends an event to all listeners.
pub(super) async fn post(given: Given<'_>, context: &mut Context) -> Result<()> {
    let event: Event = serde_json::from_value(given.value("JSON")?).map_err(|error| {
        UsageError(format!("this is no event: {error}\nhint: such as '{{\"Type\": \"my\", \"Action\": \"did\", \"Key\": \"x\"}}'"))
    })?;
    Ok(context.client()?.event_post(&event).await?)
}

/// Shows lines of the endpoint's log as they are written.
pub(super) async fn watch_log(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let mut events = client.events().await?;
    let services = given.texts("SERVICE");
    let services = if services.is_empty() { String::from("*") } else { services.join(",") };
    events.register(&format!("log.*.{services}")).await?;
    loop {
        let event = events.next().await.context("the log ends")?;
        let line = serde_json::to_value(&event.object)?;
        let part = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let summary = format!("{} {} {}: {}", part("Time"), part("Level"), part("Service"), part("Message"));
        context.out.item(&line, &summary)?;
    }
}

/// Appends to the log of a job, or shows it.
pub(super) async fn job_log(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let id = given.text("ID");
    match given.optional("TEXT") {
        Some(words) => Ok(client.job_log_append(id, input::text(words)?.as_bytes()).await?),
        None => context.out.raw(&client.job_log(id).await?),
    }
}

/// Removes jobs that nothing keeps.
pub(super) async fn purge_jobs(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let mut query = Query::new();
    for (name, value) in given.query().iter() {
        // A machine is named as everywhere else.
        match (name, value.contains(':')) {
            ("machine", true) => {
                let machine = client.collection("machines").show(value, &Query::new()).await?;
                query.push(name, machine.get("Uuid").and_then(Value::as_str).unwrap_or_default());
            }
            _ => query.push(name, value),
        }
    }
    let gone = client.jobs_purge(&query).await?;
    context.out.value(&gone, &["Uuid", "Machine", "Task", "State", "EndTime"])
}

//! Tells a web service what happens: each event is posted as JSON, signed when there is a secret.
//!
//! An answer with a status of 200 to 299 means that the service has it; anything else is a failure, and the event is sent
//! again later. The same event bears the same `x-formwork-delivery` each time, so that a service can tell repeats.

mod patterns;
mod signature;
mod time;

use formwork_sdk::plugin::{Action, ActionCall, Config, Description, Event};
use formwork_sdk::{Failure, Plugin, http, log, secrets};
use serde_json::{Map, Value, json};

/// Where events are sent.
const URL: &str = "webhook/url";

/// Which events are sent.
const EVENTS: &str = "webhook/events";

/// Further header lines.
const HEADERS: &str = "webhook/headers";

/// What signs the body.
const SECRET: &str = "webhook/secret";

/// The most of an answer that a failure quotes, in characters.
const QUOTED: usize = 200;

struct Webhook;

impl Plugin for Webhook {
    fn describe() -> Description {
        let mut description = Description::new("webhook", env!("CARGO_PKG_VERSION"))
            .event("*.*.*")
            .requires([URL])
            .accepts([EVENTS, HEADERS, SECRET])
            .action(Action::on("", "test"));
        description.display_name = String::from("Webhook");
        description.documentation =
            String::from("Posts each event that `webhook/events` names to `webhook/url`, as JSON.");
        description
    }

    fn act(call: &ActionCall) -> Result<Value, Failure> {
        if call.action != "test" {
            return Err(Failure::new("unknown-action", format!("there is no action `{}`", call.action)));
        }
        let body = json!({ "Type": "webhook", "Action": "test", "Key": call.plugin, "Object": null });
        let status = post(&call.config, "webhook.test", "test", &body)?;
        Ok(json!({ "status": status }))
    }

    fn on_event(event: &Event, config: &Config) -> Result<(), Failure> {
        let wanted =
            config.read::<Vec<String>>(EVENTS)?.unwrap_or_else(|| vec![String::from("machines.*.*")]);
        if !wanted.iter().any(|pattern| patterns::matches(pattern, &event.kind, &event.action, &event.key)) {
            return Ok(());
        }
        let body = json!({
            "Time": time::rfc3339(event.time.0),
            "Type": event.kind,
            "Action": event.action,
            "Key": event.key,
            "Object": event.object,
            "Revision": event.revision,
        });
        let delivery = format!("{}/{}/{}", event.revision, event.kind, event.key);
        post(config, &format!("{}.{}", event.kind, event.action), &delivery, &body)?;
        log::debug!("sent {delivery}");
        Ok(())
    }
}

formwork_sdk::export_plugin!(Webhook);

/// Posts a body to the configured address and returns the status of the answer.
fn post(config: &Config, event: &str, delivery: &str, body: &Value) -> Result<u16, Failure> {
    let url = config.read::<String>(URL)?.ok_or_else(|| {
        Failure::new("no-url", "the plugin has no `webhook/url`").hint("set the param on the plugin object")
    })?;
    let bytes = body.to_string().into_bytes();
    let mut request = http::Request::post(&url)
        .header("content-type", "application/json")
        .header("x-formwork-event", printable(event))
        .header("x-formwork-delivery", printable(delivery));
    for (name, value) in config.read::<Map<String, Value>>(HEADERS)?.unwrap_or_default() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        request = request.header(name, value);
    }
    if let Some(secret) = secrets::read(SECRET)? {
        request = request.header("x-formwork-signature", signature::header(secret.as_bytes(), &bytes));
    }
    let answer = request.body(bytes).send()?;
    if answer.is_success() {
        return Ok(answer.status);
    }
    let words: String = answer.text().chars().take(QUOTED).collect();
    let said = if words.is_empty() { String::new() } else { format!(": {words}") };
    Err(Failure::new("refused", format!("`{url}` answered with status {}{said}", answer.status)))
}

/// Replaces what cannot stand in a header line.
fn printable(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests;

//! Verbs that are one request.

use anyhow::Result;
use formwork_client::{Method, Response};
use serde_json::Value;

use super::{Ask, Given, Http, Shows};
use crate::commands::Context;

/// Sends the request and shows the answer.
pub(super) async fn run(given: &Given<'_>, ask: &Ask, context: &mut Context) -> Result<()> {
    let response = send(given, ask, context).await?;
    match ask.shows {
        Shows::Raw => context.out.raw(&response.bytes),
        Shows::Done(words) => context.out.line(&filled(words, given)),
        // Some answers have no body.
        Shows::Value(_) if response.value == Value::Null && response.bytes.is_empty() => Ok(()),
        Shows::Value(columns) => {
            let columns = if columns.is_empty() { given.columns() } else { columns };
            context.out.value(&response.value, columns)
        }
    }
}

async fn send(given: &Given<'_>, ask: &Ask, context: &Context) -> Result<Response> {
    let mut query = given.query();
    if let Some(more) = ask.query {
        more(given)?.iter().for_each(|(name, value)| query.push(name, value));
    }
    if context.settings.force && ask.method != Http::Get {
        query.push("force", true);
    }
    let client = context.client()?;
    let mut call = client.call(method(ask.method), path(ask.route, given)).query(query);
    if let Some(body) = ask.body {
        call = call.json(&body(given)?)?;
    }
    Ok(call.send().await?)
}

fn method(http: Http) -> Method {
    match http {
        Http::Get => Method::GET,
        Http::Post => Method::POST,
        Http::Put => Method::PUT,
        Http::Patch => Method::PATCH,
        Http::Delete => Method::DELETE,
    }
}

/// Returns the segments of a route.
pub(super) fn path(route: &str, given: &Given<'_>) -> Vec<String> {
    let mut path = Vec::new();
    // A slash in braces is part of the name.
    for segment in route.replace("/}", "%}").split('/') {
        let Some(name) = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) else {
            path.push(segment.to_owned());
            continue;
        };
        if name == "type" {
            path.push(given.name.to_owned());
        } else if name == "actions" {
            path.push(given.kind.and_then(|kind| kind.plugin_actions).unwrap_or("actions").to_owned());
        } else if let Some(name) = name.strip_suffix('?') {
            path.extend(given.optional(name).map(str::to_owned));
        } else if let Some(name) = name.strip_suffix('%') {
            path.extend(given.text(name).split('/').filter(|part| !part.is_empty()).map(str::to_owned));
        } else {
            path.push(given.text(name).to_owned());
        }
    }
    path
}

/// Puts arguments into words.
fn filled(words: &str, given: &Given<'_>) -> String {
    let mut text = words.replace("{noun}", given.noun());
    for token in super::grammar::tokens(given.verb.args) {
        text = text.replace(&format!("{{{}}}", token.name), given.text(token.name));
    }
    text
}

//! The routes of plugins and their providers beyond the standard ones (drp-api.md 7.19, 11.5).

use axum::http::{HeaderName, HeaderValue, StatusCode};
use formwork_api::ApiError;
use formwork_model::{DeadLetter, ObjectsExt, Plugin, PluginProvider, Record};
use serde_json::{Value, json};

use super::{
    answer::{self, Handled},
    objects::{self, UPDATE},
    request::{Path, Target},
    route::{Body, OF_ONE, Route},
};
use crate::{content, plugins};

/// How many dead letters were dropped to make room for those that are listed.
const DROPPED: HeaderName = HeaderName::from_static("x-formwork-dropped");

pub(super) fn routes() -> Vec<Route> {
    let all = "/plugins/{key}/dead_letters";
    let one = "/plugins/{key}/dead_letters/{number}";
    let binary = Route::get("/plugin_providers/{key}/binary", "get_plugin_provider_binary", binary)
        .tells("Returns the component of a provider.")
        .answers(200, Body::Bytes)
        .refuses(OF_ONE)
        .about(PluginProvider::KIND);
    let of_plugins = [
        Route::get("/plugins/{key}/log", "get_plugin_log", log)
            .tells("Returns the last lines of a plugin's log.")
            .answers(200, Body::json::<Vec<Value>>()),
        Route::get(all, "list_dead_letters", letters)
            .tells("Lists the events that a plugin did not take in, and the gaps in its events.")
            .answers(200, Body::json::<Vec<Value>>()),
        Route::delete(all, "delete_dead_letters", drop_letters)
            .tells("Removes all dead letters of a plugin.")
            .answers(200, Body::any()),
        Route::post("/plugins/{key}/dead_letters/retry", "retry_dead_letters", retry_letters)
            .tells("Has all dead letters of a plugin delivered again.")
            .takes(Body::Ignored)
            .answers(202, Body::any()),
        Route::get(one, "get_dead_letter", letter).tells("Returns a dead letter.").answers(200, Body::any()),
        Route::delete(one, "delete_dead_letter", drop_letter)
            .tells("Removes a dead letter.")
            .answers(200, Body::any()),
        Route::post("/plugins/{key}/dead_letters/{number}/retry", "retry_dead_letter", retry_letter)
            .tells("Has a dead letter delivered again.")
            .takes(Body::Ignored)
            .answers(202, Body::any()),
    ];
    let of_plugins = of_plugins.map(|route| route.refuses(OF_ONE).about(Plugin::KIND));
    of_plugins.into_iter().chain([binary]).collect()
}

/// The last lines of a plugin's log, the oldest first.
async fn log(target: Target) -> Handled {
    let (plugin, _) = objects::readable(&target, &target.endpoint.snapshot())?;
    answer::json(StatusCode::OK, &target.endpoint.plugins.lines.of(&plugin.key()))
}

/// The bytes of a provider's component.
async fn binary(target: Target) -> Handled {
    let snapshot = target.endpoint.snapshot();
    let (object, _) = objects::readable(&target, &snapshot)?;
    let provider = snapshot.get::<PluginProvider>(&object.key()).ok_or_else(|| target.not_found())?;
    let bytes = content::read_bytes(&target.endpoint.library, &provider.component_digest).await;
    let bytes = bytes.ok_or_else(|| target.not_found())?;
    Ok(answer::bytes(StatusCode::OK, bytes.to_vec()))
}

async fn letters(target: Target) -> Handled {
    let snapshot = target.endpoint.snapshot();
    let (plugin, _) = objects::readable(&target, &snapshot)?;
    let (found, dropped) = plugins::letters(&snapshot, &plugin.key(), None)?;
    let shown: Vec<Value> = found.iter().map(|letter| shown(letter)).collect();
    let mut response = answer::json(StatusCode::OK, &shown)?;
    response.headers_mut().insert(DROPPED, HeaderValue::from(dropped));
    Ok(response)
}

/// The second variable of a path: the number of a letter.
type Number = Path<(String, String)>;

fn number(target: &Target, text: &str) -> Result<Option<u64>, ApiError> {
    let missing =
        || ApiError::not_found(target.method.as_str(), "dead_letters", &format!("{}/{text}", target.id));
    text.parse().map(Some).map_err(|_| missing())
}

async fn letter(target: Target, Path((_, text)): Number) -> Handled {
    let number = number(&target, &text)?;
    let snapshot = target.endpoint.snapshot();
    let (plugin, _) = objects::readable(&target, &snapshot)?;
    let (found, _) = plugins::letters(&snapshot, &plugin.key(), number)?;
    let letter = found.first().ok_or_else(|| target.not_found())?;
    answer::json(StatusCode::OK, &shown(letter))
}

/// Returns a letter as clients see it.
fn shown(letter: &DeadLetter) -> Value {
    let gap = letter.is_gap().then(|| json!({ "From": letter.lost_from, "To": letter.lost_to }));
    let event = (!letter.is_gap()).then(|| {
        json!({
            "Time": letter.event_time,
            "Type": letter.r#type,
            "Action": letter.action,
            "Key": letter.key,
            "Revision": letter.revision,
            "Object": letter.object,
        })
    });
    json!({
        "Plugin": letter.plugin,
        "Number": letter.number,
        "Reason": letter.reason,
        "Tries": letter.tries,
        "Time": letter.time,
        "Retry": letter.retry,
        "Event": event,
        "Lost": gap,
    })
}

/// Finds the plugin of a request for a caller who may change it.
fn changeable(target: &Target) -> Result<String, ApiError> {
    let (plugin, _) = objects::permitted(target, &target.endpoint.snapshot(), UPDATE)?;
    let key = plugin.key();
    target.require(UPDATE, &key)?;
    Ok(key)
}

async fn drop_letters(target: Target) -> Handled {
    dropped(&target, None).await
}

async fn drop_letter(target: Target, Path((_, text)): Number) -> Handled {
    let number = number(&target, &text)?;
    dropped(&target, number).await
}

async fn dropped(target: &Target, number: Option<u64>) -> Handled {
    let plugin = changeable(target)?;
    let count = plugins::drop_letters(&target.endpoint, &target.caller.principal, &plugin, number).await?;
    answer::json(StatusCode::OK, &json!({ "Count": count }))
}

async fn retry_letters(target: Target) -> Handled {
    retried(&target, None).await
}

async fn retry_letter(target: Target, Path((_, text)): Number) -> Handled {
    let number = number(&target, &text)?;
    retried(&target, number).await
}

/// 202: the letters are delivered in the background; what becomes of them is seen in the list.
async fn retried(target: &Target, number: Option<u64>) -> Handled {
    let plugin = changeable(target)?;
    let count = plugins::retry_letters(&target.endpoint, &target.caller.principal, &plugin, number).await?;
    answer::json(StatusCode::ACCEPTED, &json!({ "Count": count }))
}

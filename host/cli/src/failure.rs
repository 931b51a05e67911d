//! How errors are shown: what, why, and what to do about it; on standard error.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use formwork_agent::AgentError;
use formwork_api::ApiError;
use formwork_client::ClientError;

use crate::jq::JqError;

/// The arguments make no sense together; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// An object was shown that has errors, which is an error where that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the object has errors\n  {}", .0.join("\n  "))]
pub(crate) struct ObjectErrors(pub(crate) Vec<String>);

/// The program ends with another code than that of an error.
#[derive(Debug, thiserror::Error)]
#[error("the agent ended with code {0}")]
pub(crate) struct EndedWith(pub(crate) u8);

/// A filter ended with another code than 0 and has said why.
#[derive(Debug, thiserror::Error)]
#[error("the filter ended with code {0}")]
pub(crate) struct Filtered(pub(crate) u8);

/// Shows an error and returns the program's exit code: 1, 2 for arguments that make no sense, or that of an agent.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // The reader has seen enough, as in `formwork jobs list | head`.
        return ExitCode::SUCCESS;
    }
    if let Some(Filtered(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    let mut text = format!("Error: {}\n", words(error));
    // Who knew more has given a hint already.
    if let Some(hint) = hint(error).filter(|_| !text.contains("hint: ")) {
        text.push_str(&format!("hint: {hint}\n"));
    }
    // Nobody is left to tell when standard error is closed.
    io::stderr().write_all(text.as_bytes()).ok();
    if error.downcast_ref::<UsageError>().is_some() {
        return ExitCode::from(2);
    }
    if let Some(EndedWith(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    if let Some(error) = error.downcast_ref::<JqError>() {
        return ExitCode::from(error.code());
    }
    error.downcast_ref::<AgentError>().map_or(ExitCode::FAILURE, |error| ExitCode::from(error.code()))
}

/// Returns an error with its causes, in one line where they are.
fn words(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = without_patch(refusal(cause).unwrap_or_else(|| cause.to_string()));
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Returns what an endpoint refused as the tools of the ecosystem write it: type, object and first message in one line,
/// further messages below (drp-behaviour.md 10.3).
fn refusal(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    let refusal = match cause.downcast_ref::<ClientError>() {
        Some(ClientError::Api(refusal)) => refusal,
        _ => cause.downcast_ref::<ApiError>()?,
    };
    let place = [refusal.model.as_str(), refusal.key.as_str()];
    let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
    let place = place.join("/");
    let first = refusal.messages.first().map_or("", String::as_str);
    let parts = [refusal.r#type.as_str(), &place, first];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let mut text = parts.join(": ");
    for message in refusal.messages.iter().skip(1) {
        text.push_str("\n  ");
        text.push_str(message);
    }
    Some(text)
}

/// Leaves out the whole patch that an endpoint repeats when a test of it failed: nobody typed it, and it can be as long as
/// the object, with what is secret in it. The lines before it say what failed.
fn without_patch(mut words: String) -> String {
    if let Some(place) = words.find("\n  Patch: [") {
        words.truncate(place);
    }
    words
}

/// Returns what to do about an error, or nothing where its own words say it.
fn hint(error: &anyhow::Error) -> Option<&'static str> {
    let client = error.chain().find_map(|cause| cause.downcast_ref::<ClientError>())?;
    if let ClientError::Connect { .. } = client {
        return Some("is the endpoint running? `formwork serve` starts one; -E or RS_ENDPOINT name another");
    }
    if matches!(client, ClientError::Api(error) if error.messages.iter().any(|words| words.starts_with("no route")))
    {
        return Some("this endpoint does not know the request: `formwork info check` tells its version");
    }
    Some(match client.status()? {
        401 => "-U and -P, RS_KEY=user:password or RS_TOKEN say who calls",
        403 => {
            "-U and -P, RS_KEY=user:password or RS_TOKEN say who calls; that user needs the right for this: \
             `formwork whocan` tells who has it"
        }
        404 => {
            "`list` shows what there is; an object is named by its key or as INDEX:VALUE, such as Name:fred"
        }
        406 => {
            "`indexes` shows what a list can be filtered and sorted by; a filter is NAME=VALUE or NAME='Gt(2)'"
        }
        409 => {
            "the object is in use, there already, or was changed meanwhile: look at it with `show` and try again"
        }
        413 | 507 => "the endpoint has no room for so much",
        422 => "the messages above name what does not fit; `show` an object of the type for its members",
        429 => "too many attempts: wait a minute",
        501 => "the endpoint knows this request and cannot do it yet",
        500..=599 => "the endpoint's log tells more: `formwork logs get`",
        _ => return None,
    })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_is_shown_with_type_object_and_messages() {
        let refused = ApiError::not_found("GET", "machines", "x");
        let error = anyhow::Error::from(ClientError::Api(Box::new(refused)));
        assert_eq!(words(&error), "GET: machines/x: Not Found");
        assert!(hint(&error).unwrap().contains("Name:fred"));
    }

    #[test]
    fn further_messages_stand_below_and_empty_parts_leave_no_colon() {
        let mut refused = ApiError::new(422, "ValidationError", "x: first").about("machines", "x");
        refused.messages.push(String::from("x: second"));
        let error = anyhow::Error::from(ClientError::Api(Box::new(refused))).context("failed to make it");
        assert_eq!(words(&error), "failed to make it: ValidationError: machines/x: x: first\n  x: second");
        for (refused, expected) in [
            (
                ApiError::new(406, "GET", "Limit cannot be negative").about("machines", ""),
                "GET: machines: Limit cannot be negative",
            ),
            (ApiError::new(400, "GET", "no JSON"), "GET: no JSON"),
            (ApiError { messages: Vec::new(), ..ApiError::not_found("GET", "jobs", "j") }, "GET: jobs/j"),
        ] {
            assert_eq!(words(&anyhow::Error::from(ClientError::Api(Box::new(refused)))), expected);
        }
    }

    #[test]
    fn endpoint_that_is_not_there_gets_a_hint() {
        let error = ClientError::Connect { url: "https://h".into(), source: "refused".into() };
        let error = anyhow::Error::from(error).context("failed to list");
        assert_eq!(words(&error), "failed to list: failed to reach `https://h`: refused");
        assert!(hint(&error).unwrap().contains("formwork serve"));
    }

    #[test]
    fn every_error_has_a_hint_or_a_reason() {
        for code in [401, 403, 404, 406, 409, 413, 422, 429, 500, 501, 503, 507] {
            let refused = ApiError::new(code, "GET", "no").about("machines", "x");
            let error = anyhow::Error::from(ClientError::Api(Box::new(refused)));
            assert!(hint(&error).is_some_and(|hint| !hint.is_empty()), "{code}");
        }
        let unknown = ApiError::new(404, "GET", "no route /api/v3/x");
        let error = anyhow::Error::from(ClientError::Api(Box::new(unknown)));
        assert!(hint(&error).unwrap().contains("does not know the request"));
        // What has no hint has a reason.
        let broken =
            ClientError::Transport { method: "GET".into(), path: "/x".into(), source: "reset".into() };
        assert_eq!(words(&anyhow::Error::from(broken)), "GET `/x` got no answer: reset");
    }

    #[test]
    fn patch_that_failed_is_told_by_its_reason_only() {
        let mut refused =
            ApiError::new(409, "PATCH", "Patch error at line 0: Test op failed.").about("machines", "x");
        refused.messages.push(String::from("Patch: [\n  {\n    \"value\": \"secret\"\n  }\n]"));
        let shown = words(&anyhow::Error::from(ClientError::Api(Box::new(refused))));
        assert_eq!(shown, "PATCH: machines/x: Patch error at line 0: Test op failed.");
    }
}

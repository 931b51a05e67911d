//! How errors are shown: what, why, and what to do about it; on standard error.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use formwork_agent::AgentError;
use formwork_client::ClientError;

/// The arguments make no sense together; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Shows an error and returns the program's exit code: 1, 2 for arguments that make no sense, or that of an agent.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // The reader has seen enough, as in `formwork jobs list | head`.
        return ExitCode::SUCCESS;
    }
    let mut text = format!("Error: {}\n", words(error));
    if let Some(hint) = hint(error) {
        text.push_str(&format!("hint: {hint}\n"));
    }
    // Nobody is left to tell when standard error is closed.
    io::stderr().write_all(text.as_bytes()).ok();
    if error.downcast_ref::<UsageError>().is_some() {
        return ExitCode::from(2);
    }
    error.downcast_ref::<AgentError>().map_or(ExitCode::FAILURE, |error| ExitCode::from(error.code()))
}

/// Returns an error with its causes, in one line where they are.
fn words(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn hint(error: &anyhow::Error) -> Option<&'static str> {
    let client = error.chain().find_map(|cause| cause.downcast_ref::<ClientError>())?;
    match client {
        ClientError::Connect { .. } => {
            Some("is the endpoint running? `formwork serve` starts one; -E or RS_ENDPOINT name another")
        }
        error if error.is_refused() => Some(
            "-U and -P, RS_KEY=user:password or RS_TOKEN say who calls; that user needs the right for this",
        ),
        _ => None,
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use formwork_api::ApiError;

    use super::*;

    #[test]
    fn refusal_is_shown_with_type_object_and_messages() {
        let refused = ApiError::not_found("GET", "machines", "x");
        let error = anyhow::Error::from(ClientError::Api(Box::new(refused)));
        assert_eq!(words(&error), "GET: machines/x\n  Not Found");
        assert_eq!(hint(&error), None);
    }

    #[test]
    fn endpoint_that_is_not_there_gets_a_hint() {
        let error = ClientError::Connect { url: "https://h".into(), source: "refused".into() };
        let error = anyhow::Error::from(error).context("failed to list");
        assert_eq!(words(&error), "failed to list: failed to reach `https://h`: refused");
        assert!(hint(&error).unwrap().contains("formwork serve"));
    }
}

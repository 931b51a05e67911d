//! `wait`: until a member has a value.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::Given;
use crate::{commands::Context, shutdown};

/// How long `wait` waits: a day, as the ecosystem's tools do.
const WAIT_SECONDS: u64 = 86_400;

/// Waits, and prints `complete`, `interrupt` or `timeout`.
pub(super) async fn wait(given: Given<'_>, context: &mut Context) -> Result<()> {
    let (member, wanted) = (given.text("MEMBER"), given.text("VALUE"));
    let seconds = given.number("SECONDS")?.unwrap_or(WAIT_SECONDS);
    let client = context.client()?;
    let interrupted = shutdown::on_signal()?;
    let reached = client.wait_for(given.name, given.text("ID"), |object| has(object, member, wanted));
    let reached = tokio::time::timeout(Duration::from_secs(seconds), reached);
    tokio::select! {
        () = interrupted.cancelled() => {
            context.out.line("interrupt")?;
            bail!("`{member}` was not `{wanted}` yet")
        }
        reached = reached => match reached {
            Ok(object) => {
                object?;
                context.out.line("complete")
            }
            Err(_) => {
                context.out.line("timeout")?;
                bail!("`{member}` did not become `{wanted}` in {seconds} s")
            }
        }
    }
}

/// Tells whether a member has a value, which is JSON or a bare text. A member that begins with `/` is a JSON pointer.
pub(super) fn has(object: &Value, member: &str, wanted: &str) -> bool {
    let found = if member.starts_with('/') { object.pointer(member) } else { object.get(member) };
    let Some(found) = found else { return false };
    found.as_str() == Some(wanted) || serde_json::from_str::<Value>(wanted).is_ok_and(|value| *found == value)
}

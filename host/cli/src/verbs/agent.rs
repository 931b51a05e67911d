//! `machines processjobs`: the agent of a machine in the foreground.

use anyhow::Result;

use super::{Given, machines};
use crate::commands::{self, Context};

/// Runs the jobs of a machine until they are done, or until the program is stopped.
pub(super) async fn process_jobs(given: Given<'_>, context: &mut Context) -> Result<()> {
    let uuid = match given.optional("ID") {
        Some(_) => Some(machines::uuid(&context.client()?, &given).await?),
        None => std::env::var("RS_UUID").ok(),
    };
    commands::process_jobs(&context.settings, uuid, &given).await
}

//! What the endpoint says of itself.

use clap::Command;

use crate::session::Session;

/// Returns the command.
pub(crate) fn command() -> Command {
    Command::new("info")
        .about("Describe the endpoint")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("get").about("Show all that the endpoint says of itself"))
        .subcommand(Command::new("check").about("Succeed if the endpoint answers"))
}

/// Runs a verb.
pub(crate) async fn run(session: &Session, verb: &str) -> anyhow::Result<()> {
    let info = session.client.info().await?;
    if verb == "check" {
        return session.output.line(&format!("{} answers as {}", session.client.endpoint(), info.version));
    }
    session.output.value("", &info)
}

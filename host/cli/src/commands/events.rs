//! Events: watching and injecting.

use clap::{Arg, ArgMatches, Command};
use formwork_api::Event;

use super::input::{parse, source, text, texts, word};
use crate::session::Session;

/// Returns the command.
pub(crate) fn command() -> Command {
    Command::new("events")
        .about("Watch what happens, or tell others")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("watch").about("Print events as they happen, one JSON object a line").arg(
                Arg::new("filters")
                    .num_args(0..)
                    .default_value("*.*.*")
                    .help("TYPE.ACTION.KEY, each part * or a comma list"),
            ),
        )
        .subcommand(Command::new("post").about("Tell all listeners of an event").arg(word("event", "JSON, a file, or -")))
}

/// Runs a verb.
pub(crate) async fn run(session: &Session, verb: &str, matches: &ArgMatches) -> anyhow::Result<()> {
    if verb == "post" {
        let event: Event = serde_json::from_value(parse(&source(text(matches, "event")?)?)?)?;
        return Ok(session.client.event_post(&event).await?);
    }
    let mut events = session.client.events().await?;
    for filter in texts(matches, "filters") {
        events.register(filter).await?;
    }
    loop {
        session.output.json_line(&events.next().await?)?;
    }
}

//! `formwork events`: what happens on the endpoint.

use anyhow::{Context as _, Result};
use clap::{Arg, ArgMatches, Command};
use formwork_api::Event;

use super::Context;
use crate::{arguments::text, failure::UsageError, input};

pub(super) fn command() -> Command {
    Command::new("events")
        .about("Follows and posts events")
        .subcommand_required(true)
        .subcommand(
            Command::new("watch")
                .about("Shows events as they happen, one JSON line each")
                .arg(Arg::new("filter").value_name("TYPE.ACTION.KEY").default_value("*.*.*")),
        )
        .subcommand(
            Command::new("post")
                .about("Sends an event to all listeners")
                .arg(Arg::new("event").value_name("JSON").required(true)),
        )
}

pub(super) async fn run(matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    match matches.subcommand() {
        Some(("post", matches)) => {
            let value = input::value(text(matches, "event"))?;
            let event: Event =
                serde_json::from_value(value).map_err(|error| UsageError(format!("no event: {error}")))?;
            Ok(client.event_post(&event).await?)
        }
        Some(("watch", matches)) => {
            let mut events = client.events().await?;
            events.register(text(matches, "filter")).await?;
            loop {
                let event = events.next().await.context("the events end")?;
                let summary = format!(
                    "{} {}.{} {} by {}",
                    event.time, event.r#type, event.action, event.key, event.principal
                );
                context.out.item(&event, &summary)?;
            }
        }
        _ => Ok(()),
    }
}

//! What machines have beyond the common verbs.

use std::time::Duration;

use anyhow::bail;
use clap::{Arg, ArgMatches, Command};
use formwork_client::{PatchOp, Query};
use formwork_model::Machine;
use serde_json::{Value, json};

use super::input::{text, texts, word, words};
use crate::session::Session;

/// Verbs that set one member: the verb, the member, what it is.
const SETTERS: &[(&str, &str, &str)] = &[
    ("workflow", "Workflow", "The workflow; an empty name ends it"),
    ("stage", "Stage", "The stage"),
    ("bootenv", "BootEnv", "The boot environment"),
    ("runnable", "Runnable", "true or false"),
];

/// Adds the verbs of machines.
pub(crate) fn extend(mut command: Command) -> Command {
    for (verb, member, help) in SETTERS {
        command = command.subcommand(
            Command::new(verb)
                .about(format!("Set the {member} of a machine"))
                .arg(word("id", "UUID or Name:NAME"))
                .arg(word("value", help)),
        );
    }
    let seconds = Arg::new("seconds").value_parser(clap::value_parser!(u64)).default_value("86400").help("Wait at most so long");
    command
        .subcommand(
            Command::new("addprofile")
                .about("Add profiles to a machine")
                .arg(word("id", "UUID or Name:NAME"))
                .arg(words("profiles", "Profiles")),
        )
        .subcommand(
            Command::new("removeprofile")
                .about("Take profiles from a machine")
                .arg(word("id", "UUID or Name:NAME"))
                .arg(words("profiles", "Profiles")),
        )
        .subcommand(Command::new("currentlog").about("Show the log of the current job").arg(word("id", "UUID or Name:NAME")))
        .subcommand(
            Command::new("wait")
                .about("Wait until a member of a machine has a value")
                .arg(word("id", "UUID or Name:NAME"))
                .arg(word("field", "The member, such as WorkflowComplete"))
                .arg(word("value", "The value, such as true"))
                .arg(seconds),
        )
}

/// Tells whether a verb is one of this file.
pub(crate) fn owns(verb: &str) -> bool {
    SETTERS.iter().any(|(setter, ..)| *setter == verb)
        || matches!(verb, "addprofile" | "removeprofile" | "currentlog" | "wait")
}

/// Runs a verb.
pub(crate) async fn run(session: &Session, verb: &str, matches: &ArgMatches) -> anyhow::Result<()> {
    let id = text(matches, "id")?;
    let machine: Machine = session.client.get(id).await?;
    match verb {
        "currentlog" => {
            if machine.current_job.is_empty() {
                bail!("machine {} has had no job yet", machine.name);
            }
            session.output.bytes(&session.client.job_log(&machine.current_job).await?)
        }
        "addprofile" | "removeprofile" => {
            let named = texts(matches, "profiles");
            let mut profiles = machine.profiles.clone();
            profiles.retain(|profile| !named.contains(&profile.as_str()));
            if verb == "addprofile" {
                profiles.extend(named.iter().map(ToString::to_string));
            }
            change(session, &machine, "Profiles", json!(machine.profiles), json!(profiles)).await
        }
        "wait" => wait(session, &machine, matches).await,
        _ => {
            let member = SETTERS.iter().find(|(setter, ..)| *setter == verb).map_or("", |(_, member, _)| member);
            let given = text(matches, "value")?;
            let value = match member {
                "Runnable" => json!(given.parse::<bool>()?),
                _ => json!(given),
            };
            let objects = session.client.collection("machines").force(session.force);
            let old = objects.show(&machine.uuid, &Query::new()).await?;
            change(session, &machine, member, old[member].clone(), value).await
        }
    }
}

async fn change(session: &Session, machine: &Machine, member: &str, old: Value, new: Value) -> anyhow::Result<()> {
    let path = format!("/{member}");
    let operations = [PatchOp::test(path.as_str(), old), PatchOp::replace(path.as_str(), new)];
    let objects = session.client.collection("machines").force(session.force);
    session.output.value("machines", &objects.patch(&machine.uuid, &operations).await?)
}

async fn wait(session: &Session, machine: &Machine, matches: &ArgMatches) -> anyhow::Result<()> {
    let (field, wanted) = (text(matches, "field")?, text(matches, "value")?);
    let wanted: Value = serde_json::from_str(wanted).unwrap_or_else(|_| json!(wanted));
    let seconds = matches.get_one::<u64>("seconds").copied().unwrap_or(86_400);
    let mut events = session.client.events().await?;
    events.register(&format!("machines.*.{}", machine.uuid)).await?;
    let objects = session.client.collection("machines");
    let reached = async {
        loop {
            let now = objects.show(&machine.uuid, &Query::new()).await?;
            if now.get(field) == Some(&wanted) {
                return Ok::<(), anyhow::Error>(());
            }
            if now.get(field).is_none() {
                bail!("machines have no member `{field}`");
            }
            events.next().await?;
        }
    };
    match tokio::time::timeout(Duration::from_secs(seconds), reached).await {
        Ok(done) => {
            done?;
            session.output.line("complete")
        }
        Err(_) => bail!("timeout: {field} did not become {wanted} within {seconds} s"),
    }
}

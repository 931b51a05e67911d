//! What only machines have: their way through stages and workflows.

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command};
use formwork_client::Query;
use formwork_model::{Job, Machine};
use serde_json::{Value, json};

use super::{Context, objects::change};
use crate::arguments::{Format, optional, text, texts};

/// Verbs that set one member to a name: verb, member, words.
const SETTERS: &[(&str, &str, &str)] = &[
    ("workflow", "Workflow", "Puts a machine into a workflow; an empty name takes it out of any"),
    ("stage", "Stage", "Puts a machine into a stage"),
    ("bootenv", "BootEnv", "Gives a machine a boot environment"),
];

/// Verbs that set `Runnable`.
const RUNNABLE: &[(&str, bool, &str)] = &[
    ("run", true, "Makes a machine runnable, so that its agent goes on"),
    ("pause", false, "Makes a machine not runnable; a running job goes on to its end"),
];

/// Adds the verbs that only machines have.
pub(super) fn extend(command: Command) -> Command {
    let id = || Arg::new("id").required(true);
    let names = |what: &'static str| Arg::new("names").value_name(what).required(true).num_args(1..);
    let setters = SETTERS.iter().map(|(verb, _, about)| {
        Command::new(*verb).about(*about).arg(id()).arg(Arg::new("name").required(true))
    });
    let runnable = RUNNABLE.iter().map(|(verb, _, about)| Command::new(*verb).about(*about).arg(id()));
    command
        .subcommands(setters)
        .subcommands(runnable)
        .subcommand(
            Command::new("addprofile").about("Adds profiles to a machine").arg(id()).arg(names("PROFILE")),
        )
        .subcommand(
            Command::new("removeprofile")
                .about("Takes profiles from a machine")
                .arg(id())
                .arg(names("PROFILE")),
        )
        .subcommand(
            Command::new("addtask").about("Appends entries to the task list").arg(id()).arg(names("TASK")),
        )
        .subcommand(Command::new("tasks").about("Shows the task list and where it stands").arg(id()))
        .subcommand(Command::new("jobs").about("Lists the jobs of a machine, oldest first").arg(id()))
        .subcommand(
            Command::new("plan")
                .about("Shows what a workflow or a stage would do, step by step; nothing is written")
                .arg(id())
                .arg(Arg::new("workflow").long("workflow").value_name("NAME"))
                .arg(Arg::new("stage").long("stage").value_name("NAME").conflicts_with("workflow")),
        )
        .subcommand(Command::new("currentlog").about("Shows the log of the current job").arg(id()))
        .subcommand(
            Command::new("token")
                .about("Shows a token with the rights of the machine's agent")
                .arg(id())
                .arg(Arg::new("ttl").long("ttl").default_value("1h")),
        )
}

/// Runs a verb that only machines have. Returns false for any other.
pub(super) async fn run(verb: &str, matches: &ArgMatches, context: &mut Context) -> Result<bool> {
    let id = if matches.try_contains_id("id").is_ok() { text(matches, "id") } else { "" };
    if let Some((_, member, _)) = SETTERS.iter().find(|(setter, ..)| *setter == verb) {
        let name = text(matches, "name");
        set(context, id, member, json!(name)).await?;
        return Ok(true);
    }
    if let Some((_, runnable, _)) = RUNNABLE.iter().find(|(setter, ..)| *setter == verb) {
        set(context, id, "Runnable", json!(runnable)).await?;
        return Ok(true);
    }
    let names: Vec<String> = if matches.try_contains_id("names").is_ok() {
        texts(matches, "names").map(str::to_owned).collect()
    } else {
        Vec::new()
    };
    match verb {
        "addprofile" => edit_list(context, id, "Profiles", |list| add_missing(list, &names)).await?,
        "removeprofile" => {
            edit_list(context, id, "Profiles", |list| list.retain(|name| !names.contains(name))).await?;
        }
        "addtask" => edit_list(context, id, "Tasks", |list| list.extend(names)).await?,
        "tasks" => tasks(context, id).await?,
        "jobs" => {
            let machine: Machine = context.client()?.get(id).await?;
            let query =
                Query::new().with("Machine", format!("Eq({})", machine.uuid)).with("sort", "StartTime");
            let jobs = context.client()?.collection("jobs").list(&query).await?;
            context.out.value(&jobs, formwork_model::kind_of("jobs").map_or(&[], |kind| kind.columns))?;
        }
        "currentlog" => {
            let machine: Machine = context.client()?.get(id).await?;
            if machine.current_job.is_empty() {
                bail!("machine `{}` has not had any job yet", machine.name);
            }
            let job: Job = context.client()?.get(&machine.current_job).await?;
            context.out.raw(&context.client()?.job_log(&job.uuid).await?)?;
        }
        "plan" => plan(matches, id, context).await?,
        "token" => {
            let machine: Machine = context.client()?.get(id).await?;
            let token = context.client()?.machine_token(&machine.uuid, text(matches, "ttl")).await?;
            context.out.value(&token, &[])?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

async fn set(context: &mut Context, id: &str, member: &str, value: Value) -> Result<()> {
    let changed = change(context, "machines", id, |machine| {
        if let Some(members) = machine.as_object_mut() {
            members.insert(member.to_owned(), value);
        }
    });
    let changed = changed.await?;
    context.out.value(&changed, &[])
}

/// Shows what would happen: in a table a line a step.
async fn plan(matches: &ArgMatches, id: &str, context: &mut Context) -> Result<()> {
    let members = match (optional(matches, "workflow"), optional(matches, "stage")) {
        (Some(workflow), _) => json!({"Workflow": workflow}),
        (None, Some(stage)) => json!({"Workflow": "", "Stage": stage}),
        (None, None) => json!({}),
    };
    let machine: Machine = context.client()?.get(id).await?;
    let plan = context.client()?.machine_plan(&machine.uuid, &members).await?;
    if context.settings.format == Format::Table {
        let steps = plan.get("Steps").unwrap_or(&Value::Null);
        if steps.as_array().is_some_and(Vec::is_empty) {
            return context.out.line("nothing: the machine has no task left with that");
        }
        context.out.value(steps, &["Stage", "Task", "Context", "State", "Does", "Errors"])?;
        for effect in plan.get("Effects").and_then(Value::as_array).into_iter().flatten() {
            context.out.line(&format!("would {}", effect.as_str().unwrap_or_default()))?;
        }
        return Ok(());
    }
    context.out.value(&plan, &[])
}

async fn edit_list(
    context: &mut Context,
    id: &str,
    member: &str,
    edit: impl FnOnce(&mut Vec<String>),
) -> Result<()> {
    let changed = change(context, "machines", id, |machine| {
        if let Some(list) = machine.get_mut(member) {
            let mut names: Vec<String> = serde_json::from_value(list.take()).unwrap_or_default();
            edit(&mut names);
            *list = json!(names);
        }
    });
    let changed = changed.await?;
    context.out.value(&changed, &[])
}

fn add_missing(list: &mut Vec<String>, names: &[String]) {
    for name in names {
        if !list.contains(name) {
            list.push(name.clone());
        }
    }
}

async fn tasks(context: &mut Context, id: &str) -> Result<()> {
    let machine: Machine = context.client()?.get(id).await?;
    let rows: Vec<Value> = machine
        .tasks
        .iter()
        .zip(0_i64..)
        .map(|(task, index)| {
            let state = match index.cmp(&machine.current_task) {
                std::cmp::Ordering::Less => "done",
                std::cmp::Ordering::Equal => "current",
                std::cmp::Ordering::Greater => "to come",
            };
            json!({"Index": index, "Task": task, "State": state})
        })
        .collect();
    context.out.value(&rows, &["Index", "Task", "State"])
}

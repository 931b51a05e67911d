//! What machines have, and what else has jobs of its own: clusters, resource brokers.

use anyhow::{Result, bail};
use formwork_client::{Client, Method, Query};
use formwork_model::kind_of;
use serde_json::{Value, json};

use super::{Given, edit, objects::set_member};
use crate::{commands::Context, failure::UsageError};

pub(super) fn workflow(given: &Given<'_>, object: &mut Value) -> Result<()> {
    edit::set(object, "Workflow", json!(given.text("NAME")))
}

pub(super) fn stage(given: &Given<'_>, object: &mut Value) -> Result<()> {
    edit::set(object, "Stage", json!(given.text("NAME")))
}

pub(super) fn bootenv(given: &Given<'_>, object: &mut Value) -> Result<()> {
    edit::set(object, "BootEnv", json!(given.text("NAME")))
}

pub(super) fn runnable(_: &Given<'_>, object: &mut Value) -> Result<()> {
    edit::set(object, "Runnable", json!(true))
}

pub(super) fn paused(_: &Given<'_>, object: &mut Value) -> Result<()> {
    edit::set(object, "Runnable", json!(false))
}

pub(super) fn add_profiles(given: &Given<'_>, object: &mut Value) -> Result<()> {
    edit::list(object, "Profiles", |profiles| {
        for name in given.texts("PROFILE") {
            if !profiles.iter().any(|profile| profile == name) {
                profiles.push(name.to_owned());
            }
        }
    })
}

pub(super) fn remove_profiles(given: &Given<'_>, object: &mut Value) -> Result<()> {
    let names = given.texts("PROFILE");
    edit::list(object, "Profiles", |profiles| profiles.retain(|profile| !names.contains(&profile.as_str())))
}

pub(super) fn add_tasks(given: &Given<'_>, object: &mut Value) -> Result<()> {
    insert(given.texts("TASK"), None, object)
}

/// `inserttask ID TASK [OFFSET]`: so many places behind the current task.
pub(super) fn insert_task(given: &Given<'_>, object: &mut Value) -> Result<()> {
    let offset = given.optional("OFFSET").unwrap_or("0");
    insert(vec![given.text("TASK")], Some(offset), object)
}

/// `tasks add ID [at OFFSET] TASK...`.
pub(super) fn tasks_add(given: &Given<'_>, object: &mut Value) -> Result<()> {
    let words = given.texts("TASK");
    match words.as_slice() {
        ["at", offset, tasks @ ..] if !tasks.is_empty() => insert(tasks.to_vec(), Some(offset), object),
        ["at", ..] => {
            bail!(UsageError(String::from("no task is named\nhint: tasks add ID at OFFSET TASK...")))
        }
        tasks => insert(tasks.to_vec(), None, object),
    }
}

/// Puts tasks into the list, so many places behind the current one, or at its end.
fn insert(tasks: Vec<&str>, offset: Option<&str>, object: &mut Value) -> Result<()> {
    let current = object.get("CurrentTask").and_then(Value::as_i64).unwrap_or(-1);
    let place = match offset.map(str::parse::<i64>) {
        None => None,
        Some(Ok(offset)) => {
            Some(usize::try_from(current.saturating_add(1).saturating_add(offset)).unwrap_or(0))
        }
        Some(Err(_)) => {
            bail!(UsageError(format!("`{}` is no number of tasks", offset.unwrap_or_default())))
        }
    };
    edit::list(object, "Tasks", |list| {
        let place = place.unwrap_or(list.len()).min(list.len());
        list.splice(place..place, tasks.into_iter().map(str::to_owned));
    })
}

/// Removes tasks that have not begun.
pub(super) fn remove_tasks(given: &Given<'_>, object: &mut Value) -> Result<()> {
    let names = given.texts("TASK");
    let current = object.get("CurrentTask").and_then(Value::as_i64).unwrap_or(-1);
    edit::list(object, "Tasks", |list| {
        let mut place = -1;
        list.retain(|task| {
            place += 1;
            place <= current || !names.contains(&task.as_str())
        });
    })
}

/// Shows the task list and where it stands.
pub(super) async fn tasks(given: Given<'_>, context: &mut Context) -> Result<()> {
    let object = object(&context.client()?, &given).await?;
    let current = object.get("CurrentTask").and_then(Value::as_i64).unwrap_or(-1);
    let tasks = object.get("Tasks").and_then(Value::as_array).cloned().unwrap_or_default();
    let rows: Vec<Value> = tasks
        .iter()
        .zip(0_i64..)
        .map(|(task, index)| {
            let state = match index.cmp(&current) {
                std::cmp::Ordering::Less => "done",
                std::cmp::Ordering::Equal => "current",
                std::cmp::Ordering::Greater => "to come",
            };
            json!({"Index": index, "Task": task, "State": state})
        })
        .collect();
    context.out.value(&rows, &["Index", "Task", "State"])
}

/// Lists the jobs, oldest first.
pub(super) async fn jobs(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let jobs = jobs_of(&client, &uuid(&client, &given).await?).await?;
    context.out.value(&jobs, kind_of("jobs").map_or(&[], |kind| kind.columns))
}

/// Makes a job, as an agent does.
pub(super) async fn create_job(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let job = json!({ "Machine": uuid(&client, &given).await? });
    let made = client.collection("jobs").create(&job).await?;
    if made.is_null() {
        bail!("{}/{} has nothing to do", given.name, given.text("ID"));
    }
    context.out.value(&made, &[])
}

/// Shows the current job.
pub(super) async fn current_job(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let job = current(&client, &given).await?;
    context.out.value(&client.collection("jobs").show(&job, &Query::new()).await?, &[])
}

/// Sets the state of the current job.
pub(super) async fn job_state(given: Given<'_>, context: &mut Context) -> Result<()> {
    let job = current(&context.client()?, &given).await?;
    set_member(context, ("jobs", &job), ("State", json!(given.text("STATE")))).await
}

/// Removes all jobs but the current one.
pub(super) async fn delete_jobs(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let machine = object(&client, &given).await?;
    let current = machine.get("CurrentJob").and_then(Value::as_str).unwrap_or_default().to_owned();
    let uuid = machine.get("Uuid").and_then(Value::as_str).unwrap_or_default();
    let jobs = jobs_of(&client, uuid).await?;
    let collection = client.collection("jobs").force(context.settings.force);
    let mut gone = 0;
    for key in jobs.iter().filter_map(|job| job.get("Uuid")?.as_str()).filter(|key| *key != current) {
        collection.destroy(key).await?;
        gone += 1;
    }
    let kept = if current.is_empty() { "" } else { "; the current one stays" };
    context.out.line(&format!("Deleted {gone} jobs{kept}"))
}

/// Shows the log of the current job.
pub(super) async fn current_log(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let job = current(&client, &given).await?;
    context.out.raw(&client.job_log(&job).await?)
}

/// Shows what would happen: in a table a line a step.
pub(super) async fn plan(given: Given<'_>, context: &mut Context) -> Result<()> {
    let members = match (given.optional("workflow"), given.optional("stage")) {
        (Some(_), Some(_)) => bail!(UsageError(String::from("give a workflow or a stage, not both"))),
        (Some(workflow), None) => json!({"Workflow": workflow}),
        (None, Some(stage)) => json!({"Workflow": "", "Stage": stage}),
        (None, None) => json!({}),
    };
    let client = context.client()?;
    let plan = client.machine_plan(&uuid(&client, &given).await?, &members).await?;
    if !context.out.has_columns() {
        return context.out.value(&plan, &[]);
    }
    let steps = plan.get("Steps").unwrap_or(&Value::Null);
    if steps.as_array().is_some_and(Vec::is_empty) {
        return context.out.line("nothing: the machine has no task left with that");
    }
    context.out.value(steps, &["Stage", "Task", "Context", "State", "Does", "Errors"])?;
    for effect in plan.get("Effects").and_then(Value::as_array).into_iter().flatten() {
        context.out.line(&format!("would {}", effect.as_str().unwrap_or_default()))?;
    }
    Ok(())
}

/// Shows a token with the rights of the agent.
pub(super) async fn token(given: Given<'_>, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let mut query = Query::new().with("ttl", given.optional("ttl").unwrap_or("1h"));
    let pairs = given.pairs("PAIR")?;
    if !pairs.is_empty() {
        query = pairs.into_iter().fold(Query::new(), |query, (name, value)| query.with(name, value));
    }
    let call = client.call(Method::GET, [given.name, &uuid(&client, &given).await?, "token"]);
    let token = call.query(query).send().await?.value;
    context.out.value(&token, &[])
}

/// Runs the agent in the foreground for a machine.
pub(super) async fn process_jobs(given: Given<'_>, context: &mut Context) -> Result<()> {
    super::agent::process_jobs(given, context).await
}

/// Reads the object.
pub(super) async fn object(client: &Client, given: &Given<'_>) -> Result<Value> {
    Ok(client.collection(given.name).show(given.text("ID"), &Query::new()).await?)
}

/// Returns the UUID of the object, which may have been named by another index.
pub(super) async fn uuid(client: &Client, given: &Given<'_>) -> Result<String> {
    let object = object(client, given).await?;
    match object.get("Uuid").and_then(Value::as_str) {
        Some(uuid) => Ok(uuid.to_owned()),
        None => bail!("{}/{} has no UUID", given.name, given.text("ID")),
    }
}

async fn jobs_of(client: &Client, uuid: &str) -> Result<Vec<Value>> {
    let query = Query::new().with("Machine", format!("Eq({uuid})")).with("sort", "StartTime");
    Ok(client.collection("jobs").list(&query).await?)
}

async fn current(client: &Client, given: &Given<'_>) -> Result<String> {
    let object = object(client, given).await?;
    match object.get("CurrentJob").and_then(Value::as_str).filter(|job| !job.is_empty()) {
        Some(job) => Ok(job.to_owned()),
        None => bail!("{}/{} has not had any job yet", given.name, given.text("ID")),
    }
}

//! One job in the context `host`, from its start to its end.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{ExitState, Job, JobState, Machine, Task, Timestamp};
use formwork_sandbox::{Host, Invocation, Limits, MachineInfo, Outcome, Report, TaskCall};
use tracing::Instrument as _;

use super::task_host::HostSide;
use crate::{
    commands::{jobs::update_job, machines::update_machine},
    content,
    endpoint::Endpoint,
    packs::Counted,
    render,
};

/// A job that is to be run.
#[derive(Clone, Copy)]
pub(crate) struct Assigned<'a> {
    /// In whose name.
    pub(crate) principal: &'a str,
    /// The job.
    pub(crate) job: &'a Job,
    /// How often it was run before.
    pub(crate) attempt: u32,
}

/// Runs a job and says how it ended. Returns the time at which it wants to be called again, if it does.
///
/// # Errors
///
/// The job could not be changed; nothing is wrong with its task.
pub(crate) async fn perform(
    endpoint: &Arc<Endpoint>,
    asked: Assigned<'_>,
) -> Result<Option<Timestamp>, ApiError> {
    let ended = call(endpoint, asked, |host| host).await?;
    conclude(endpoint, asked, ended).await
}

/// Says that a job runs, and calls its component with the host that `around` makes of that of the endpoint. Returns what it
/// answered, or in words why it did not.
///
/// # Errors
///
/// The job could not be changed.
pub(crate) async fn call(
    endpoint: &Arc<Endpoint>,
    asked: Assigned<'_>,
    around: impl FnOnce(Arc<dyn Host>) -> Arc<dyn Host>,
) -> Result<Result<Report<Outcome>, String>, ApiError> {
    update_job(endpoint, asked.principal, &asked.job.uuid, |job| job.state = JobState::Running).await?;
    Ok(run(endpoint, asked, around).await)
}

/// Ends a job as its component says. Returns the time at which it wants to be called again, if it does.
///
/// # Errors
///
/// The job could not be changed.
pub(crate) async fn conclude(
    endpoint: &Arc<Endpoint>,
    Assigned { principal, job, .. }: Assigned<'_>,
    ended: Result<Report<Outcome>, String>,
) -> Result<Option<Timestamp>, ApiError> {
    let report = match ended {
        Ok(report) => report,
        Err(words) => {
            end(endpoint, principal, job, End::Failed(words)).await?;
            return Ok(None);
        }
    };
    let used = format!(
        "used {} units of fuel, {} ms, {} KiB",
        report.used.fuel,
        report.used.elapsed.as_millis(),
        report.used.memory_peak >> 10
    );
    let finish = match report.answer {
        Outcome::Done => End::Finished(ExitState::Complete),
        Outcome::Reboot => End::Finished(ExitState::Reboot),
        Outcome::Poweroff => End::Finished(ExitState::Poweroff),
        Outcome::Stop => End::Finished(ExitState::Stop),
        Outcome::Failed(failure) => End::Failed(failure.to_string()),
        Outcome::RetryAt(millis) => {
            let time = Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
            say(endpoint, job, &format!("to be called again at {time}; {used}")).await;
            end(endpoint, principal, job, End::Incomplete).await?;
            return Ok(Some(time));
        }
    };
    say(endpoint, job, &used).await;
    end(endpoint, principal, job, finish).await?;
    Ok(None)
}

/// How a job ends.
enum End {
    Finished(ExitState),
    Failed(String),
    Incomplete,
}

/// Finds the component of a job's task and calls it; in words what keeps it from that.
async fn run(
    endpoint: &Arc<Endpoint>,
    Assigned { principal, job, attempt }: Assigned<'_>,
    around: impl FnOnce(Arc<dyn Host>) -> Arc<dyn Host>,
) -> Result<Report<Outcome>, String> {
    let snapshot = endpoint.snapshot();
    let (task, machine) = render::subjects(&snapshot, job).map_err(|words| words.join("\n"))?;
    if task.component.is_empty() {
        return Err(format!(
            "task {} has scripts, which the endpoint itself never runs\n\
             hint: an agent elsewhere can: `formwork agent --context` with a context of its own",
            task.name
        ));
    }
    let site: Arc<dyn render::Site> = Arc::clone(endpoint) as _;
    render::lacking(&site, &snapshot, job, &task, &machine).map_err(|words| words.join("\n"))?;
    let record = content::component_of(&endpoint.library, &snapshot, job, &task);
    let record = record.ok_or_else(|| format!("component {} is not installed", task.component))?;
    let grants =
        content::grants(&record).map_err(|error| format!("component {}: {error}", task.component))?;
    let limits = Limits::from_manifest(&record.limits)
        .map_err(|error| format!("component {}: {error}", task.component))?;
    let prepared = content::prepared(endpoint, &record.digest).await;
    let digest = prepared.map_err(|why| format!("component {} {why}", task.component))?;
    say(
        endpoint,
        job,
        &format!("component {} {}", task.component, record.digest.get(..12).unwrap_or_default()),
    )
    .await;
    let host = HostSide::new(Arc::clone(endpoint), principal, job, &task.component);
    let host = Counted::new(endpoint, &task.component, &record, Arc::new(host));
    let host = Some(around(Arc::new(host)));
    let invocation =
        Invocation { grants: grants.into(), limits, host, ..Invocation::new(&task.component, &machine.uuid) };
    let call = TaskCall {
        machine: facts(&machine, &task, job),
        attempt,
        now_ms: u64::try_from(endpoint.now().millis()).unwrap_or(0),
    };
    let span = tracing::info_span!("job", uuid = job.uuid, digest = record.digest);
    let asked = endpoint.sandbox.asking(&digest, invocation).run_task(call).instrument(span);
    asked.await.map_err(|error| error.to_string())
}

fn facts(machine: &Machine, task: &Task, job: &Job) -> MachineInfo {
    MachineInfo {
        uuid: machine.uuid.clone(),
        name: machine.name.clone(),
        context: job.context.clone(),
        workflow: machine.workflow.clone(),
        stage: machine.stage.clone(),
        bootenv: machine.boot_env.clone(),
        task: task.name.clone(),
        job: job.uuid.clone(),
    }
}

async fn end(endpoint: &Arc<Endpoint>, principal: &str, job: &Job, end: End) -> Result<(), ApiError> {
    let (state, exit, errors) = match end {
        End::Finished(exit) => (JobState::Finished, exit, Vec::new()),
        End::Incomplete => (JobState::Incomplete, ExitState::Complete, Vec::new()),
        End::Failed(words) => {
            say(endpoint, job, &format!("failed: {words}")).await;
            (JobState::Failed, ExitState::Failed, vec![words])
        }
    };
    let stops = matches!(exit, ExitState::Reboot | ExitState::Poweroff | ExitState::Stop);
    if stops {
        // As an agent does before it goes (drp-api.md 9.3). Who has power control acts on the exit state.
        say(endpoint, job, &format!("asks for {}: the machine is not runnable until then", exit.as_str()))
            .await;
        update_machine(endpoint, principal, &job.machine, |machine| machine.runnable = false).await?;
    }
    update_job(endpoint, principal, &job.uuid, move |job| {
        job.state = state;
        job.exit_state = exit;
        if !errors.is_empty() {
            job.result_errors.clone_from(&errors);
        }
    })
    .await
    .map(|_| ())
}

/// Writes a line of the endpoint into the log of a job.
async fn say(endpoint: &Endpoint, job: &Job, words: &str) {
    if let Err(error) = endpoint.append_log(&job.uuid, format!("[endpoint] {words}\n").as_bytes()).await {
        tracing::warn!(job = job.uuid, %error, "a line of a job log is lost");
    }
}

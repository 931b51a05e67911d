//! How long a run of a task may take, and how often it may reboot its machine.
//!
//! A system in memory forgets over a reboot what a task has done. So the endpoint counts the reboots of a job: the task can ask
//! which run it is in, and one that reboots its machine again and again is stopped with a reason.

use std::time::Duration;

use formwork_model::{ExitState, Job, JobState, Objects, Task, parse_duration};
use serde_json::Value;

use super::Subject;

/// The param with how long a run of a task may take, by task name: a duration, or a number of seconds.
const TIMEOUTS: &str = "task-timeout";

/// The param with how often a task may reboot the machine before its end, by task name.
const REBOOTS: &str = "task-reboots";

/// How often it may where the param says nothing.
const REBOOTS_MOST: u64 = 10;

/// The member of a job's meta with how many seconds a run of it may take; a task has it as a duration.
const TIMEOUT_META: &str = "timeout";

/// The member of a job's meta with how often it has rebooted its machine.
const REBOOTS_META: &str = "reboots";

/// Notes in a new job how long a run of it may take.
pub(super) fn note_timeout(objects: &(impl Objects + ?Sized), subject: &Subject, task: &Task, job: &mut Job) {
    let of_machine = subject.param(objects, TIMEOUTS).and_then(|by_task| by_task.get(&task.name).cloned());
    let of_machine = match of_machine {
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(seconds)) => Some(seconds.to_string()),
        _ => None,
    };
    // What cannot be read limits nothing, and the task's own counts.
    let read = |text: &String| parse_duration(text, Duration::from_secs(1));
    let timeout =
        of_machine.as_ref().and_then(read).or_else(|| task.header.meta.get(TIMEOUT_META).and_then(read));
    if let Some(timeout) = timeout.filter(|timeout| !timeout.is_zero()) {
        job.header.meta.insert(String::from(TIMEOUT_META), timeout.as_secs().max(1).to_string());
    }
}

/// Counts a reboot of the machine before the end of a task; one too many fails the job.
pub(super) fn count_reboot(objects: &(impl Objects + ?Sized), subject: &Subject, old: &Job, new: &mut Job) {
    if new.state != JobState::Incomplete || new.exit_state != ExitState::Reboot {
        return;
    }
    let before = old.header.meta.get(REBOOTS_META).and_then(|count| count.parse::<u64>().ok());
    let count = before.unwrap_or(0).saturating_add(1);
    new.header.meta.insert(String::from(REBOOTS_META), count.to_string());
    let of_machine = subject.param(objects, REBOOTS).and_then(|by_task| by_task.get(&old.task)?.as_u64());
    let most = of_machine.unwrap_or(REBOOTS_MOST);
    if count > most {
        new.state = JobState::Failed;
        new.result_errors.push(format!(
            "task {} wanted to reboot the machine {count} times without coming to its end, more than {most}\nhint: have it \
             look at RS_JOB_REBOOTS, or set param {REBOOTS}",
            old.task
        ));
    }
}

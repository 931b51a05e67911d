//! `POST /jobs`: the heart (drp-api.md 9.2, drp-behaviour.md 3.6).

use formwork_model::{
    Claim, ExitState, Header, Job, JobState, Machine, NO_JOB, Objects, ObjectsExt, Role, Task, Timestamp,
    WorkOrder,
};
use serde_json::Value;

use super::{Answer, Step, Subject, limits, mirror};
use crate::{
    Refusal,
    machine::{length, pipeline},
    tasks::Entry,
};

/// Decides which job an agent gets: the next of its machine's list, or of a work order's. `fresh` makes random UUIDs; the request
/// has the one that the agent wants. One whose state is running asks for a new job to be running already, which saves the agent
/// the next request. Jobs that the endpoint itself does begin as ever, and one that goes on stays incomplete: an agent that asks
/// again after a lost answer knows a new job by its UUID, and the other only by that.
///
/// # Errors
///
/// The machine is not runnable or not available, its current job still runs, or the work order is not one that runs on it.
pub fn create(
    objects: &(impl Objects + ?Sized),
    (machine, order): (&Machine, Option<&WorkOrder>),
    request: &Job,
    now: Timestamp,
    fresh: &mut dyn FnMut() -> String,
) -> Result<Step, Refusal> {
    if !machine.runnable || !machine.header.available {
        let why = if machine.runnable { "available" } else { "runnable" };
        return Err(Refusal::Conflict(format!("Machine {} is not {why}", machine.uuid)));
    }
    if let Some(order) = order {
        may_run(machine, order)?;
    }
    let before = Subject::of(machine, order);
    if request.context != before.machine.context {
        return Ok(Step { answer: Answer::Nothing, moved: None, jobs: Vec::new() });
    }
    let current = objects.get::<Job>(&before.machine.current_job).map(|job| job.as_ref().clone());
    let mut advance = Advance {
        objects,
        subject: before.clone(),
        before: &before,
        current,
        is_at_place: false,
        jobs: Vec::new(),
        now,
        fresh,
    };
    let Some(index) = advance.next_index()? else {
        let resumed = advance.current.map(Box::new);
        let answer = resumed.map_or(Answer::Nothing, Answer::Resumed);
        return Ok(Step { answer, moved: None, jobs: Vec::new() });
    };
    let answer = advance.run_from(index, request);
    Ok(advance.step(answer))
}

/// Tells whether a job for an entry of a task list is handed out running.
fn runs_at_once(request: &Job, entry: &str) -> bool {
    request.state == JobState::Running && !matches!(Entry::parse(entry), Entry::Action { .. })
}

/// Returns the claims that the token of a task's jobs has beyond those of its machine: the task's own, and those of the roles
/// that it names (drp-api.md 2.3).
///
/// They do not depend on who put the task into the machine's list, which the machine itself may do (drp-behaviour.md 3.4, 4.4):
/// the author of a task, who must have these rights, gives them to every job of it.
#[must_use]
pub fn extra_claims(objects: &(impl Objects + ?Sized), task: &Task) -> Vec<Claim> {
    let roles = task.extra_roles.iter().filter_map(|name| objects.get::<Role>(name));
    let mut claims = task.extra_claims.clone();
    for claim in roles.flat_map(|role| role.claims.clone()) {
        if !claims.contains(&claim) {
            claims.push(claim);
        }
    }
    claims
}

/// Refuses jobs of a work order that does not run on a machine.
fn may_run(machine: &Machine, order: &WorkOrder) -> Result<(), Refusal> {
    let refused = |why: &str| Err(Refusal::Conflict(format!("Work order {} {why}", order.uuid)));
    if order.machine != machine.uuid {
        return refused(&format!("is not one of machine {}", machine.uuid));
    }
    match order.state.as_str() {
        "running" if !order.runnable => refused("is not runnable"),
        "running" if !order.header.available => refused("is not available"),
        "running" => Ok(()),
        "created" => refused("has not begun\nhint: pick it first"),
        state => refused(&format!("is {state} and final")),
    }
}

/// One advance of a machine through its list.
struct Advance<'a, O: Objects + ?Sized> {
    objects: &'a O,
    subject: Subject,
    before: &'a Subject,
    current: Option<Job>,
    /// True while the current job is of the place in the list, and none of a list that was before.
    is_at_place: bool,
    jobs: Vec<Job>,
    now: Timestamp,
    fresh: &'a mut dyn FnMut() -> String,
}

impl<O: Objects + ?Sized> Advance<'_, O> {
    /// Returns the index to go on with; `None` when the current job is to be resumed.
    fn next_index(&mut self) -> Result<Option<i64>, Refusal> {
        let place = self.subject.machine.current_task;
        let Some(job) = self.current.clone() else { return Ok(Some(place.max(0))) };
        // Without a state the machine came to its place by no job: see `forget_job`.
        self.is_at_place = place >= 0
            && job.current_index <= place
            && place < job.next_index.max(job.current_index + 1)
            && job.machine == self.subject.machine.uuid
            && !self.subject.machine.job_state.is_empty();
        if !self.is_at_place {
            if !job.state.is_final() {
                self.end_current(job);
            }
            return Ok(Some(place.max(0)));
        }
        match job.state {
            // Another agent has the machine now: whoever ran the job does not go on (drp-api.md 9.3).
            JobState::Created | JobState::Running if job.context != self.subject.machine.context => {
                self.end_current(job);
                Ok(Some(place))
            }
            JobState::Created | JobState::Running => Err(Refusal::Conflict(format!(
                "Machine {} has job {} in state {} already",
                self.subject.machine.uuid,
                job.uuid,
                job.state.as_str()
            ))),
            JobState::Incomplete => Ok(None),
            JobState::Failed => Ok(Some(place)),
            JobState::Finished => Ok(Some(job.next_index)),
        }
    }

    /// Fails a job that the list has moved away from.
    fn end_current(&mut self, mut job: Job) {
        job.state = JobState::Failed;
        job.exit_state = ExitState::Failed;
        job.end_time = self.now;
        mirror(&mut self.subject.machine, &job);
        self.jobs.push(job.clone());
        self.current = Some(job);
    }

    /// Notes that the machine has come to a place without a job of it: the latest is of another list or of before it was sent
    /// back, and what it says of its places says nothing here.
    fn forget_job(&mut self) {
        if !self.is_at_place {
            self.subject.machine.job_state.clear();
            self.subject.machine.job_exit_state.clear();
            self.subject.machine.job_result_errors.clear();
        }
    }

    fn run_from(&mut self, mut index: i64, request: &Job) -> Answer {
        loop {
            let (next, must_look_again) = self.roll_forward(index);
            index = next;
            if must_look_again {
                return Answer::Nothing;
            }
            let Some(text) =
                usize::try_from(index).ok().and_then(|index| self.subject.machine.tasks.get(index)).cloned()
            else {
                match self.subject.machine.task_error_stacks.pop() {
                    // The error handler is through: the task that failed gets another chance.
                    Some(stack) => {
                        self.subject.machine.tasks = stack.task_list;
                        // It had been sent back to the beginning when its task failed.
                        index = stack.current_task.max(0);
                        self.subject.machine.retry_task_attempt = 0;
                        self.is_at_place = false;
                        continue;
                    }
                    None => return self.complete(),
                }
            };
            if self.stops_at(&text) && self.before.machine.current_task != index {
                // The machine now stands at the task: when an operator makes it runnable again, the task runs.
                self.subject.machine.current_task = index;
                self.subject.machine.runnable = false;
                self.forget_job();
                return Answer::Nothing;
            }
            return self.hand_out(index, &text, request);
        }
    }

    fn complete(&mut self) -> Answer {
        self.subject.machine.current_task = length(&self.subject.machine.tasks);
        self.subject.machine.workflow_complete = true;
        self.forget_job();
        Answer::Nothing
    }

    /// Consumes `stage:`, `bootenv:` and `context:` entries. Returns the next index, and whether the agent must
    /// look at its machine again before it goes on.
    fn roll_forward(&mut self, first: i64) -> (i64, bool) {
        let at_first = usize::try_from(first).ok().and_then(|first| self.subject.machine.tasks.get(first));
        if at_first.is_none_or(|text| !Entry::parse(text).rolls_forward()) {
            return (first, false);
        }
        let before = self.subject.machine.clone();
        let mut index = first;
        let mut must_look_again = false;
        let mut last = String::new();
        while let Some(text) =
            usize::try_from(index).ok().and_then(|index| self.subject.machine.tasks.get(index)).cloned()
        {
            let entry = Entry::parse(&text);
            if must_look_again || !entry.rolls_forward() {
                break;
            }
            match entry {
                Entry::Stage(name) => name.clone_into(&mut self.subject.machine.stage),
                Entry::BootEnv(name) if name != self.subject.machine.boot_env => {
                    name.clone_into(&mut self.subject.machine.boot_env);
                    self.subject.machine.runnable = false;
                    must_look_again = true;
                }
                Entry::Context(name) if name != self.subject.machine.context => {
                    name.clone_into(&mut self.subject.machine.context);
                    must_look_again = true;
                }
                _ => {}
            }
            last = text;
            index += 1;
        }
        let changed = before.stage != self.subject.machine.stage
            || before.boot_env != self.subject.machine.boot_env
            || before.context != self.subject.machine.context;
        if changed {
            let mut job = self.job(&last, first, index, String::new());
            job.state = JobState::Finished;
            job.exit_state = ExitState::Complete;
            job.end_time = self.now;
            job.context.clone_from(&before.context);
            self.adopt(job, index - 1);
        }
        (index, must_look_again)
    }

    fn hand_out(&mut self, index: i64, text: &str, request: &Job) -> Answer {
        if self.subject.machine.current_task != index {
            self.subject.machine.retry_task_attempt = 0;
        }
        let mut job = self.job(text, index, index + 1, request.uuid.clone());
        if runs_at_once(request, text) {
            job.state = JobState::Running;
        }
        if let Some(task) = self.objects.get::<Task>(text) {
            job.extra_claims = extra_claims(self.objects, &task);
            limits::note_timeout(self.objects, &self.subject, &task, &mut job);
        }
        if let Entry::Chroot(_) = Entry::parse(text) {
            job.state = JobState::Finished;
            job.exit_state = ExitState::Complete;
            job.end_time = self.now;
        }
        self.adopt(job.clone(), index);
        Answer::Created(Box::new(job))
    }

    fn job(&mut self, text: &str, index: i64, next: i64, asked: String) -> Job {
        let machine = &self.subject.machine;
        let uuid = if asked.is_empty() { (self.fresh)() } else { asked };
        // Also when that job was deleted, unless this one has its UUID.
        let previous = Some(&machine.current_job).filter(|job| !job.is_empty() && **job != uuid).cloned();
        Job {
            uuid,
            machine: machine.uuid.clone(),
            previous: previous.unwrap_or_else(|| NO_JOB.to_owned()),
            task: text.to_owned(),
            stage: machine.stage.clone(),
            workflow: machine.workflow.clone(),
            boot_env: machine.boot_env.clone(),
            context: machine.context.clone(),
            pipeline: machine.pipeline.clone(),
            work_order: self.subject.order().to_owned(),
            header: Header { meta: pipeline::noted(machine), ..Header::default() },
            start_time: self.now,
            current: true,
            current_index: index,
            next_index: next,
            ..Job::default()
        }
    }

    /// Makes a job the machine's current one.
    fn adopt(&mut self, job: Job, index: i64) {
        if let Some(mut previous) = self.current.take().filter(|previous| previous.current) {
            previous.current = false;
            self.jobs.retain(|job| job.uuid != previous.uuid);
            self.jobs.push(previous);
        }
        self.subject.machine.current_task = index;
        self.subject.machine.current_job.clone_from(&job.uuid);
        self.subject.machine.workflow_complete = false;
        mirror(&mut self.subject.machine, &job);
        self.is_at_place = true;
        self.current = Some(job.clone());
        self.jobs.push(job);
    }

    fn stops_at(&self, task: &str) -> bool {
        let resolved = self.subject.param(self.objects, "task-stop-at");
        matches!(&resolved, Some(Value::Array(names)) if names.iter().any(|name| name == task))
    }

    fn step(self, answer: Answer) -> Step {
        Step { answer, moved: self.subject.moved(self.before, self.now), jobs: self.jobs }
    }
}

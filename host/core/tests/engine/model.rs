//! The model: which tasks have been done in which list, and what must be so after every move.

use std::collections::{BTreeMap, BTreeSet};

use formwork_core::{Refusal, jobs::Answer, plan::Decision};
use formwork_model::{Job, JobState, Machine, ObjectsExt, WorkOrder};

use crate::{
    moves::{Move, Told},
    world::World,
};

/// What has been done of one list: the entries that are over, by their places.
type Done = BTreeMap<i64, String>;

/// What is known beside the engine.
#[derive(Default)]
pub(crate) struct Model {
    /// What is done of the machine's list; below it the list that an error handler replaced.
    lists: Vec<Done>,
    /// The same of each work order.
    orders: BTreeMap<String, Vec<Done>>,
    /// Jobs that were acknowledged as finished.
    acknowledged: BTreeSet<String>,
}

/// What goes through a list: a machine or a work order.
struct Line<'a> {
    tasks: &'a [String],
    place: i64,
    handlers: usize,
    is_complete: bool,
}

impl<'a> From<&'a Machine> for Line<'a> {
    fn from(machine: &'a Machine) -> Self {
        Self {
            tasks: &machine.tasks,
            place: machine.current_task,
            handlers: machine.task_error_stacks.len(),
            is_complete: machine.workflow_complete,
        }
    }
}

impl<'a> From<&'a WorkOrder> for Line<'a> {
    fn from(order: &'a WorkOrder) -> Self {
        Self {
            tasks: &order.tasks,
            place: order.current_task,
            handlers: order.task_error_stacks.len(),
            is_complete: order.state == "finished",
        }
    }
}

impl Model {
    /// Checks one move, and follows it.
    pub(crate) fn check(
        &mut self,
        before: &World,
        after: &World,
        step: &Move,
        told: &Told,
    ) -> Result<(), String> {
        self.check_jobs(before, after)?;
        let (old, new) = (before.machine(), after.machine());
        let begins_anew = match step {
            Move::Workflow(_) => old.workflow != new.workflow,
            Move::Stage(..) => old.workflow.is_empty() && old.stage != new.stage,
            Move::Mode(_) => !old.work_order_mode && new.work_order_mode,
            Move::Pick | Move::Cancel(_) => old.workflow != new.workflow || old.tasks != new.tasks,
            _ => old.workflow != new.workflow && new.work_order_mode,
        };
        if begins_anew {
            self.lists.clear();
        }
        let rewound = matches!(step, Move::Rewind(_)) && new.current_task != old.current_task;
        let finished = |order: &str| {
            let jobs = after.list::<Job>();
            jobs.iter()
                .filter(|job| job.work_order == order && is_over_now(before, job))
                .map(|job| job.as_ref().clone())
                .collect::<Vec<_>>()
        };
        let passed = passed_over(before, after, step);
        if !begins_anew {
            follow(&mut self.lists, &(&old).into(), &(&new).into(), (&finished(""), rewound, passed))?;
        }
        for order in after.list::<WorkOrder>() {
            let Some(was) = before.order(&order.uuid).filter(|_| order.mode == "task") else { continue };
            let done = self.orders.entry(order.uuid.clone()).or_default();
            let now = Line::from(order.as_ref());
            follow(done, &(&was).into(), &now, (&finished(&order.uuid), false, passed))
                .map_err(|error| format!("work order: {error}"))?;
        }
        if let Told::Answer(answer) = told {
            self.check_answer((before, after), step, answer)?;
        }
        Ok(())
    }

    /// At most one job is open, each is acknowledged once, and what is over stays as it was.
    fn check_jobs(&mut self, before: &World, after: &World) -> Result<(), String> {
        for job in before.list::<Job>().iter().filter(|job| job.state.is_final()) {
            let now = after.job(&job.uuid).ok_or("a job is lost")?;
            if (now.state, now.exit_state, now.end_time) != (job.state, job.exit_state, job.end_time) {
                return Err(format!("job {} was over and changed", job.uuid));
            }
        }
        for job in after.list::<Job>().iter().filter(|job| job.state == JobState::Finished) {
            let is_new = before.job(&job.uuid).is_none_or(|was| was.state != JobState::Finished);
            if is_new && !self.acknowledged.insert(job.uuid.clone()) {
                return Err(format!("job {} was acknowledged twice", job.uuid));
            }
        }
        let mut holders = vec![(String::new(), after.machine().current_job)];
        let orders = after.list::<WorkOrder>();
        let own = orders.iter().filter(|order| order.mode == "task");
        holders.extend(own.map(|order| (order.uuid.clone(), order.current_job.clone())));
        for (order, current) in holders {
            let of_it: Vec<_> =
                after.list::<Job>().into_iter().filter(|job| job.work_order == order).collect();
            let open: Vec<_> = of_it.iter().filter(|job| !job.state.is_final()).collect();
            if open.len() > 1 || open.iter().any(|job| job.uuid != current) {
                return Err(format!("open jobs are {open:?}, and the current one is {current}"));
            }
            if of_it.iter().filter(|job| job.current).count() > 1 {
                return Err(String::from("two jobs say that they are current"));
            }
        }
        Ok(())
    }

    /// A job that is handed out is the next of its list, and who gets none is told why.
    fn check_answer(
        &self,
        (before, after): (&World, &World),
        step: &Move,
        answer: &Result<Answer, Refusal>,
    ) -> Result<(), String> {
        match answer {
            Ok(Answer::Created(job)) => {
                let none = Vec::new();
                let (tasks, lists) = match after.order(&job.work_order) {
                    Some(order) => (order.tasks, self.orders.get(&order.uuid).unwrap_or(&none)),
                    None => (after.machine().tasks, &self.lists),
                };
                let done = lists.last().cloned().unwrap_or_default();
                let index = usize::try_from(job.current_index).map_err(|error| error.to_string())?;
                if tasks.get(index) != Some(&job.task) {
                    return Err(format!("{} was handed out at {index} of {tasks:?}", job.task));
                }
                if done.contains_key(&job.current_index) {
                    return Err(format!("{} at {index} was handed out again", job.task));
                }
                all_done(&tasks, &done, index)
            }
            Ok(Answer::Resumed(job)) if job.state == JobState::Incomplete => Ok(()),
            Ok(Answer::Resumed(job)) => Err(format!("{job:?} was resumed")),
            Ok(Answer::Nothing) => self.check_silence(before, after, step),
            Err(refusal) if refusal.to_string().is_empty() => Err(String::from("a refusal says nothing")),
            Err(_) => Ok(()),
        }
    }

    /// Nothing to do: the asker is another's agent, something changed, or the list is through.
    fn check_silence(&self, before: &World, after: &World, step: &Move) -> Result<(), String> {
        let (old, new) = (before.machine(), after.machine());
        let is_told = match step {
            Move::Ask(context) => *context != old.context || new.workflow_complete || new != old,
            _ => true,
        };
        if is_told { Ok(()) } else { Err(format!("no job, and nothing says why: {new:?}")) }
    }
}

/// Follows one list through a move: what is past stays, and a list that is through was done whole.
fn follow(
    lists: &mut Vec<Done>,
    old: &Line<'_>,
    new: &Line<'_>,
    (finished, rewound, passed): (&[Job], bool, bool),
) -> Result<(), String> {
    if lists.is_empty() {
        lists.push(Done::new());
    }
    if let Some(done) = lists.last_mut() {
        // A job of a place that was left does not count there.
        let counted = finished.iter().filter(|job| job.current_index == old.place);
        done.extend(counted.map(|job| (job.current_index, job.task.clone())));
    }
    if new.handlers > old.handlers {
        lists.push(Done::new());
    } else if new.handlers < old.handlers {
        if !passed {
            all_done(old.tasks, lists.last().unwrap_or(&Done::new()), old.tasks.len())?;
        }
        lists.pop();
    } else if rewound {
        if let Some(done) = lists.last_mut() {
            done.retain(|place, _| *place <= new.place);
        }
    } else {
        let past = usize::try_from(old.place + 1).unwrap_or(0).min(old.tasks.len());
        if new.tasks.get(..past) != old.tasks.get(..past) {
            return Err(format!("the past changed from {:?} to {:?}", &old.tasks[..past], new.tasks));
        }
        if new.place < old.place && !old.tasks.is_empty() {
            return Err(format!("the place went back from {} to {}", old.place, new.place));
        }
    }
    if passed && new.place > 0 {
        let place = new.place - 1;
        let task = usize::try_from(place).ok().and_then(|place| new.tasks.get(place)).cloned();
        if let Some(done) = lists.last_mut() {
            done.extend(task.map(|task| (place, task)));
        }
    }
    if new.is_complete && !old.is_complete {
        all_done(new.tasks, lists.last().unwrap_or(&Done::new()), new.tasks.len())?;
    }
    Ok(())
}

/// Every task before a place is done.
fn all_done(tasks: &[String], done: &Done, before: usize) -> Result<(), String> {
    for (place, task) in tasks.iter().enumerate().take(before).filter(|(_, task)| !task.contains(':')) {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        if done.get(&place) != Some(task) {
            return Err(format!("{task} at {place} of {tasks:?} was passed over; done are {done:?}"));
        }
    }
    Ok(())
}

fn is_over_now(before: &World, job: &Job) -> bool {
    let was_final = before.job(&job.uuid).is_some_and(|was| was.state == JobState::Finished);
    job.state == JobState::Finished && !was_final && !job.task.contains(':')
}

/// Tells whether a failed task was passed over because somebody decided so.
fn passed_over(before: &World, after: &World, step: &Move) -> bool {
    let (Move::Report(_, JobState::Failed, _) | Move::Start(_)) = step else { return false };
    let jobs = after.list::<Job>();
    let failed = jobs.iter().find(|job| {
        job.state == JobState::Failed && before.job(&job.uuid).is_some_and(|was| !was.state.is_final())
    });
    let is_advance = matches!(step, Move::Report(_, _, Decision::Advance));
    failed.is_some_and(|job| {
        let orders = before.list::<WorkOrder>();
        let goes_on = orders.iter().any(|order| {
            order.mode == "workflow" && order.state == "running" && order.on_failure == "continue"
        });
        let is_here = !job.work_order.is_empty() || job.current_index == before.machine().current_task;
        is_here && (is_advance || goes_on && job.work_order.is_empty() && after.machine().runnable)
    })
}

/// Mends what a machine waits for, and has agents run all that is left: whatever happened before, it comes to an end.
pub(crate) fn rescue(world: &mut World, model: &mut Model) -> Result<(), String> {
    let play = |world: &mut World, model: &mut Model, step: Move| {
        let before = world.clone();
        let told = step.perform(world);
        model.check(&before, world, &step, &told)?;
        Ok::<_, String>(told)
    };
    for name in ["task-stop-at", "task-single-step"] {
        play(world, model, Move::Steer(name, false))?;
    }
    play(world, model, Move::Available(true))?;
    for _ in 0..400 {
        let machine = world.machine();
        if machine.workflow_complete {
            return Ok(());
        }
        play(world, model, Move::Runnable(true))?;
        let context = if machine.context == "host" { "host" } else { "" };
        let Told::Answer(answer) = play(world, model, Move::Ask(context))? else { continue };
        match answer {
            Ok(Answer::Created(job) | Answer::Resumed(job)) if !job.state.is_final() => {
                for state in [JobState::Running, JobState::Finished] {
                    let place = world.list::<Job>().iter().position(|other| other.uuid == job.uuid);
                    let told = play(world, model, Move::Report(place, state, Decision::Stop(String::new())))?;
                    let Told::Done(Ok(())) = told else { return Err(format!("{job:?}: {told:?}")) };
                }
            }
            Ok(_) => {}
            Err(_) => drop(play(world, model, Move::Start(context))?),
        }
    }
    Err(format!("stuck for good: {:?}", world.machine()))
}

//! What goes through a task list: a machine, or a work order on it (drp-api.md 14.5).

use formwork_model::{Machine, Object, Objects, Timestamp, WorkOrder};
use serde_json::Value;

use crate::params;

/// A machine, or a work order with its machine. The rules of jobs see a machine in both cases: in a work order's, one that
/// stands where the order does in its list.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What the rules see and change.
    pub(super) machine: Machine,
    order: Option<Box<WorkOrder>>,
}

/// A subject that has changed, as it is to be saved.
#[derive(Clone, Debug, PartialEq)]
pub enum Moved {
    /// The machine.
    Machine(Box<Machine>),
    /// The work order; its machine stays as it is.
    WorkOrder(Box<WorkOrder>),
}

impl Subject {
    /// Returns a machine, or an order on it, at its present place.
    #[must_use]
    pub fn of(machine: &Machine, order: Option<&WorkOrder>) -> Self {
        let Some(order) = order else { return Self { machine: machine.clone(), order: None } };
        let standing = Machine {
            tasks: order.tasks.clone(),
            current_task: order.current_task,
            current_job: order.current_job.clone(),
            job_state: order.job_state.clone(),
            job_exit_state: order.job_exit_state.clone(),
            job_result_errors: order.job_result_errors.clone(),
            retry_task_attempt: order.retry_task_attempt,
            task_error_stacks: order.task_error_stacks.clone(),
            stage: order.stage.clone(),
            context: order.context.clone(),
            runnable: order.runnable,
            workflow: String::new(),
            workflow_complete: false,
            ..machine.clone()
        };
        Self { machine: standing, order: Some(Box::new(order.clone())) }
    }

    /// Returns the latest job; empty for none.
    #[must_use]
    pub fn current_job(&self) -> &str {
        &self.machine.current_job
    }

    /// Returns the UUID of the order, empty for a machine's own list.
    pub(super) fn order(&self) -> &str {
        self.order.as_ref().map_or("", |order| &order.uuid)
    }

    /// Returns a parameter: that of an order goes before that of its machine.
    pub(super) fn param(&self, objects: &(impl Objects + ?Sized), name: &str) -> Option<Value> {
        let asked: &dyn Object = match &self.order {
            Some(order) => order.as_ref(),
            None => &self.machine,
        };
        params::resolve(objects, asked, name)
    }

    /// Ends an order whose task has failed for good: it is never begun again (drp-behaviour.md 3.12).
    pub(super) fn fail_order(&mut self, task: &str, now: Timestamp) {
        if let Some(order) = &mut self.order {
            order.state = String::from("failed");
            order.status = format!("task {task} failed");
            order.end_time = now;
        }
    }

    /// Lets an order wait for somebody who makes it runnable again. A machine is held by its agent.
    pub(super) fn hold_order(&mut self, task: &str) {
        if let Some(order) = &mut self.order {
            self.machine.runnable = false;
            order.status = format!("task {task} is incomplete; it goes on when Runnable is set");
        }
    }

    /// Returns what has changed since `before`; nothing when nothing has.
    pub(super) fn moved(self, before: &Self, now: Timestamp) -> Option<Moved> {
        let Self { machine, order } = self;
        let Some(order) = order else {
            return (machine != before.machine).then(|| Moved::Machine(Box::new(machine)));
        };
        let mut order = WorkOrder {
            tasks: machine.tasks,
            current_task: machine.current_task,
            current_job: machine.current_job,
            job_state: machine.job_state,
            job_exit_state: machine.job_exit_state,
            job_result_errors: machine.job_result_errors,
            retry_task_attempt: machine.retry_task_attempt,
            task_error_stacks: machine.task_error_stacks,
            stage: machine.stage,
            context: machine.context,
            runnable: machine.runnable,
            ..*order
        };
        if machine.workflow_complete && !order.is_final() {
            order.state = String::from("finished");
            order.status = String::new();
            order.end_time = now;
        }
        (before.order.as_deref() != Some(&order)).then(|| Moved::WorkOrder(Box::new(order)))
    }
}

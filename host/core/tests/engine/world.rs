//! A machine with its jobs and work orders, moved as the endpoint does: each move is one transaction.

use std::{collections::BTreeMap, sync::Arc};

use formwork_core::{
    Refusal,
    jobs::{self, Answer, Moved},
    machine::{self, Change, Rules},
    plan::{Decision, PlanRequest},
    work_orders::{self, workflow},
};
use formwork_model::{
    Blueprint, Job, JobState, Machine, Object, Objects, ObjectsExt, Stage, Task, Timestamp, WorkOrder,
    Workflow,
};

/// The UUID of the machine.
pub(crate) const MACHINE: &str = "m";

/// Objects in memory, a clock and a source of UUIDs.
#[derive(Clone, Default)]
pub(crate) struct World {
    objects: BTreeMap<(String, String), Arc<dyn Object>>,
    pub(crate) now: i64,
    uuids: u64,
}

impl Objects for World {
    fn find(&self, prefix: &str, key: &str) -> Option<Arc<dyn Object>> {
        self.objects.get(&(prefix.to_owned(), key.to_owned())).cloned()
    }

    fn visit(&self, prefix: &str, visit: &mut dyn FnMut(&Arc<dyn Object>) -> bool) {
        let own = self.objects.iter().filter(|((own, _), _)| own == prefix);
        let _ = own.map(|(_, object)| object).all(visit);
    }

    fn count(&self, prefix: &str) -> usize {
        self.objects.keys().filter(|(own, _)| own == prefix).count()
    }
}

/// Makes a list of owned texts.
pub(crate) fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

impl World {
    /// A machine without tasks, three workflows of stages that change boot environment and context, and two blueprints.
    pub(crate) fn new() -> Self {
        let mut world = Self { now: 1_800_000_000_000, ..Self::default() };
        for name in ["a", "b", "c", "d", "e", "h"] {
            world.put(Task { name: name.into(), ..Task::default() });
        }
        let stage = |name: &str, boot_env: &str, tasks: &[&str]| Stage {
            name: name.into(),
            boot_env: boot_env.into(),
            tasks: words(tasks),
            ..Stage::default()
        };
        world.put(stage("s1", "", &["a", "b"]));
        world.put(stage("s2", "other", &["c"]));
        world.put(stage("s3", "", &["context:host", "d", "context:", "e"]));
        world.put(stage("none", "", &[]));
        for (name, stages) in [("w1", &["s1", "s2"][..]), ("w2", &["s3", "s1"]), ("w3", &["none"])] {
            world.put(Workflow { name: name.into(), stages: words(stages), ..Workflow::default() });
        }
        let blueprint =
            Blueprint { name: "b1".into(), tasks: words(&["a", "stage:s1", "b"]), ..Blueprint::default() };
        world.put(Blueprint { workflow: "w1".into(), ..blueprint });
        world.put(Machine {
            uuid: MACHINE.into(),
            name: "m1".into(),
            boot_env: "local".into(),
            stage: "none".into(),
            runnable: true,
            workflow_complete: true,
            current_task: 0,
            ..Machine::default()
        });
        world
    }

    pub(crate) fn put(&mut self, mut object: impl Object + Clone) {
        object.header_mut().set_errors(Vec::new());
        self.keep(Arc::new(object));
    }

    fn keep(&mut self, object: Arc<dyn Object>) {
        self.objects.insert((object.kind().prefix.to_owned(), object.key()), object);
    }

    /// Reads everything anew out of what is saved, as a restart does.
    pub(crate) fn restart(&mut self) {
        for object in self.objects.values_mut() {
            let (kind, header) = (object.kind(), object.header().clone());
            let mut read = (kind.decode)(object.to_json()).unwrap().boxed();
            *read.header_mut() = header;
            assert_eq!(read.to_json(), object.to_json(), "something is not saved");
            *object = read.shared();
        }
    }

    pub(crate) fn machine(&self) -> Machine {
        self.get::<Machine>(MACHINE).unwrap().as_ref().clone()
    }

    pub(crate) fn job(&self, uuid: &str) -> Option<Job> {
        self.get::<Job>(uuid).map(|job| job.as_ref().clone())
    }

    pub(crate) fn order(&self, uuid: &str) -> Option<WorkOrder> {
        self.get::<WorkOrder>(uuid).map(|order| order.as_ref().clone())
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub(crate) fn fresh(&mut self) -> String {
        self.uuids += 1;
        format!("u{:05}", self.uuids)
    }

    /// Stores a machine, and what becomes of the order whose workflow it goes through.
    pub(crate) fn put_machine(&mut self, machine: Machine) {
        let named = |machine: &Machine| machine.header.meta.get(workflow::ORDER).cloned();
        let (before, now_named) = (named(&self.machine()), named(&machine));
        self.keep(Arc::new(machine));
        let running = |world: &Self, uuid: &str| world.order(uuid).filter(|order| !order.is_final());
        if let Some(left) = before.filter(|before| Some(before) != now_named.as_ref())
            && let Some(order) = running(self, &left)
        {
            self.put_order(workflow::abandoned(&order, self.time()));
        }
        let Some(order) = now_named else { return };
        let order = running(self, &order);
        let followed = workflow::follow(self, &self.machine(), order.as_ref(), self.time());
        if let Some(machine) = followed.machine {
            self.keep(Arc::new(machine));
        }
        if let Some(order) = followed.order {
            self.put_order(order);
        }
    }

    /// Stores a work order, which its machine counts.
    pub(crate) fn put_order(&mut self, order: WorkOrder) {
        let before = self.order(&order.uuid);
        if let Some(counted) = work_orders::counted(&self.machine(), before.as_ref(), Some(&order)) {
            self.keep(Arc::new(counted));
        }
        self.keep(Arc::new(order));
    }

    fn moved(&mut self, moved: Option<Moved>) {
        match moved {
            Some(Moved::Machine(machine)) => self.put_machine(*machine),
            Some(Moved::WorkOrder(order)) => self.put_order(*order),
            None => {}
        }
    }

    /// Asks for a job: of the machine's list, or of an order's.
    pub(crate) fn ask(&mut self, context: &str, order: Option<&str>) -> Result<Answer, Refusal> {
        let order = order.and_then(|order| self.order(order));
        let request = Job {
            machine: MACHINE.into(),
            context: context.into(),
            work_order: order.as_ref().map(|order| order.uuid.clone()).unwrap_or_default(),
            ..Job::default()
        };
        let mut uuids = self.clone();
        let subject = (&self.machine(), order.as_ref());
        let step = jobs::create(self, subject, &request, self.time(), &mut || uuids.fresh())?;
        self.uuids = uuids.uuids;
        for job in step.jobs {
            self.put(job);
        }
        self.moved(step.moved);
        Ok(step.answer)
    }

    /// Says how a job goes.
    pub(crate) fn report(
        &mut self,
        job: &str,
        state: JobState,
        decide: impl FnOnce() -> Decision,
    ) -> Result<(), Refusal> {
        let old = self.job(job).unwrap();
        let new = Job { state, ..old.clone() };
        let decision = jobs::failure_report(self, &old, &new).map(|_| decide());
        let ended = jobs::update(self, &old, new, decision, self.time())?;
        self.keep(Arc::new(ended.job));
        self.moved(ended.moved);
        Ok(())
    }

    /// Makes runnable what is to be tried again by now.
    pub(crate) fn retry(&mut self) {
        for job in self.list::<Job>() {
            let due = jobs::retry_due(self, &job, self.time());
            self.moved(due);
        }
    }

    /// Changes the machine as a user does.
    pub(crate) fn change(&mut self, force: bool, alter: impl FnOnce(&mut Machine)) -> Result<(), Refusal> {
        let before = self.machine();
        let mut wanted = before.clone();
        alter(&mut wanted);
        let rules = Rules { force, by_user: true, fresh_secret: String::new() };
        let mut machine = planned(machine::change(self, &before, wanted, &rules)?)?;
        if machine.workflow != before.workflow {
            workflow::release(&mut machine);
        }
        if machine::ends_job(&before, &machine) {
            self.end_job(&before);
        }
        self.put_machine(machine);
        Ok(())
    }

    fn end_job(&mut self, machine: &Machine) {
        if let Some(job) = jobs::fail_unfinished(self, &machine.current_job, self.time()) {
            self.keep(Arc::new(job));
        }
    }

    /// Makes a work order; returns its UUID.
    pub(crate) fn make_order(&mut self, mode: &str, on_failure: &str) -> Result<String, Refusal> {
        let order = WorkOrder {
            uuid: self.fresh(),
            machine: MACHINE.into(),
            blueprint: "b1".into(),
            mode: mode.into(),
            on_failure: on_failure.into(),
            ..WorkOrder::default()
        };
        let mut order = work_orders::create(self, order, formwork_model::Values::default(), self.time())?;
        order.header.set_errors(Vec::new());
        let uuid = order.uuid.clone();
        self.put_order(order);
        Ok(uuid)
    }

    /// Begins the oldest order that waits for an agent.
    pub(crate) fn pick(&mut self) -> Result<(), Refusal> {
        let machine = self.machine();
        work_orders::may_take(&machine)?;
        let orders = self.list::<WorkOrder>();
        if orders.iter().any(|order| order.state == "running") {
            return Ok(());
        }
        if let Some(order) = orders.iter().find(|order| work_orders::is_waiting(order)) {
            self.put_order(work_orders::begun(order, &machine, self.time()));
        }
        Ok(())
    }

    /// Begins the workflow of the oldest order that waits for that.
    pub(crate) fn begin_order(&mut self) {
        let machine = self.machine();
        let order = self.list::<WorkOrder>().into_iter().find(|order| workflow::is_waiting(order));
        let Some(order) = order.filter(|_| workflow::is_idle(&machine)) else { return };
        let next = planned(workflow::begin(self, &order, &machine).unwrap()).unwrap();
        let (order, next) = workflow::begun(self, &order, (&machine, next), self.time());
        self.put_order(order);
        let counted = self.machine();
        self.put_machine(Machine {
            pending_work_orders: counted.pending_work_orders,
            running_work_orders: counted.running_work_orders,
            ..next
        });
    }

    /// Cancels a work order as a user does.
    pub(crate) fn cancel(&mut self, uuid: &str) -> Result<(), Refusal> {
        let old = self.order(uuid).unwrap();
        let wanted = WorkOrder { state: "cancelled".into(), ..old.clone() };
        let order = work_orders::change(self, &old, wanted, self.time())?;
        if old.mode == workflow::MODE && old.state == "running" {
            self.put_order(order);
            self.end_job(&self.machine());
            let stopped = workflow::stopped(self, &self.machine());
            self.put_machine(stopped);
        } else {
            let job = jobs::fail_unfinished(self, &old.current_job, self.time());
            if let Some(job) = job.filter(|job| job.work_order == old.uuid) {
                self.keep(Arc::new(job));
            }
            self.put_order(order);
        }
        Ok(())
    }
}

/// Plans as the classic component does, without prerequisites.
fn planned(change: Change) -> Result<Machine, Refusal> {
    match change {
        Change::Ready(machine) => Ok(*machine),
        Change::Plan(machine, request) => machine::apply_plan(*machine, plan(&request)),
    }
}

fn plan(request: &PlanRequest) -> Vec<String> {
    let mut list = Vec::new();
    for stage in &request.stages {
        if !request.workflow.is_empty() {
            list.push(format!("stage:{}", stage.name));
            list.extend((!stage.boot_env.is_empty()).then(|| format!("bootenv:{}", stage.boot_env)));
        }
        list.extend(stage.tasks.iter().cloned());
    }
    list
}

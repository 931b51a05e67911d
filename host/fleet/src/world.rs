//! The machine around a simulated agent.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use formwork_agent::{
    ActionEnd, AgentError, AgentExit, JobPlace, KernelPlan, LogWriter, Step, Verdict, World, WorldFuture,
};
use formwork_api::Whoami;
use formwork_client::{Client, ClientError, PatchOp};
use formwork_model::{ExitState, Job, JobState, Machine};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use crate::{
    Profile,
    chance::Chance,
    hardware::Hardware,
    profile::TaskRule,
    tally::{State, Tally},
};

/// The param that holds what `formwork gohai` would show.
const INVENTORY: &str = "gohai-inventory";

/// How long the operator waits until a request of his is sent again that failed.
pub(crate) const AGAIN: Duration = Duration::from_secs(2);

/// How much output is made at once.
const OUTPUT: u64 = 16 << 10;

/// What an agent of the fleet is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It runs jobs, or waits for what the endpoint does by itself.
    #[default]
    Busy,
    /// It waits because a job keeps the machine from going on.
    Held {
        /// The job.
        job: String,
        /// How many jobs had begun on the machine when it was seen.
        begun: u64,
    },
    /// All is done.
    Idle {
        /// How many jobs had begun on the machine when that was so.
        begun: u64,
    },
}

/// One machine that is not there.
#[derive(Debug)]
pub(crate) struct SimulatedMachine {
    pub(crate) chance: Chance,
    profile: Arc<Profile>,
    hardware: Hardware,
    /// Params that it is registered with.
    params: BTreeMap<String, serde_json::Value>,
    /// The client of the fleet's caller.
    operator: Client,
    pub(crate) tally: Arc<Tally>,
    state: Mutex<State>,
    pub(crate) mood: watch::Sender<Mood>,
    /// The boot environment that is running, if something is.
    boot_env: Mutex<Option<String>>,
    /// How often which task has run.
    runs: Mutex<BTreeMap<String, u64>>,
    /// How many jobs have begun.
    begun: AtomicU64,
    /// How often a kernel was to be loaded.
    loads: AtomicU64,
    /// Told when the machine vanishes.
    pub(crate) gone: Notify,
    uuid: OnceLock<String>,
}

impl SimulatedMachine {
    pub(crate) fn new(chance: Chance, profile: Arc<Profile>, operator: Client, tally: Arc<Tally>) -> Self {
        let kind = profile.kind(chance).cloned().unwrap_or_default();
        let hardware = Hardware::new(chance, &kind);
        let mut params: BTreeMap<_, _> = [(INVENTORY.to_owned(), hardware.inventory.clone())].into();
        params.extend(profile.params.clone());
        params.extend(kind.params);
        Self {
            chance,
            profile,
            hardware,
            params,
            operator,
            tally,
            state: Mutex::default(),
            mood: watch::Sender::default(),
            boot_env: Mutex::default(),
            runs: Mutex::default(),
            begun: AtomicU64::default(),
            loads: AtomicU64::default(),
            gone: Notify::new(),
            uuid: OnceLock::new(),
        }
    }

    /// Returns the key of the machine object, once it is known.
    pub(crate) fn uuid(&self) -> Option<&str> {
        self.uuid.get().map(String::as_str)
    }

    /// Notes how the machine stands now.
    pub(crate) fn stands(&self, state: State) {
        let before = std::mem::replace(&mut *lock(&self.state), state);
        self.tally.moved(before, state);
    }

    /// Switches the machine on: nothing is left of what ran before.
    pub(crate) fn boot(&self) {
        lock(&self.boot_env).take();
        self.mood.send_replace(Mood::Busy);
        self.stands(State::Running);
    }

    /// Tells whether an installer is running, which boots what it has installed.
    pub(crate) fn is_installing(&self) -> bool {
        lock(&self.boot_env).as_ref().is_some_and(|boot_env| boot_env.ends_with("-install"))
    }

    /// Registers the machine the first time that it is known: its params, and its workflow unless it has that.
    async fn register(&self, uuid: &str) -> Result<(), ClientError> {
        let machine: Machine = self.operator.get(uuid).await?;
        let param = |(name, value): (&String, &serde_json::Value)| {
            PatchOp::add(format!("/Params/{}", name.replace('~', "~0").replace('/', "~1")), value.clone())
        };
        let mut operations: Vec<PatchOp> = self.params.iter().map(param).collect();
        let workflow = &self.profile.workflow;
        if !workflow.is_empty() && *workflow != machine.workflow {
            operations.push(PatchOp::replace("/Workflow", workflow.as_str()));
        }
        self.operator.patch::<Machine>(uuid, &operations).await.map(drop)
    }

    /// Runs a task as a rule says.
    async fn task(&self, rule: &TaskRule, step: Step<'_>) -> ActionEnd {
        let task = step.place.job.task.as_str();
        let turn = self.turn(task);
        let question = |what| format!("{what} {task}");
        let output = self.chance.within(rule.output.0, &question("output"), turn);
        let time = Duration::from_millis(self.chance.within(rule.time.0, &question("time"), turn));
        let crash = self.chance.happens(rule.crash, &question("crash"), turn);
        let end = self.chance.pick(rule.ends.0.iter().copied(), &question("end"), turn);
        say(&step.place.log, output).await;
        // A machine that vanishes does it in the middle.
        tokio::select! {
            () = step.stop.cancelled() => return ActionEnd::Stopped,
            () = sleep(if crash { time / 2 } else { time }) => {}
        }
        if crash {
            self.gone.notify_one();
            // Whoever is told ends the agent here.
            std::future::pending::<()>().await;
        }
        end.unwrap_or(ActionEnd::Verdict(Verdict::DONE))
    }

    /// Returns how often a task has run before, and counts this time.
    fn turn(&self, task: &str) -> u64 {
        let mut runs = lock(&self.runs);
        let turns = runs.entry(task.to_owned()).or_default();
        *turns += 1;
        *turns - 1
    }
}

impl World for SimulatedMachine {
    fn whoami(&self) -> Whoami {
        self.hardware.whoami()
    }

    fn names(&self, _: &str) -> Vec<String> {
        vec![self.profile.name(self.chance.machine)]
    }

    fn address(&self, _: &str) -> Option<String> {
        None
    }

    fn identified<'a>(&'a self, uuid: &'a str) -> WorldFuture<'a, ()> {
        Box::pin(async move {
            if self.uuid.set(uuid.to_owned()).is_err() {
                return;
            }
            while let Err(error) = self.register(uuid).await {
                if !error.is_transient() {
                    let name = self.profile.name(self.chance.machine);
                    let words = error.chain();
                    self.tally
                        .error(format!("machine `{name}` was not given its params and workflow: {words}"));
                    return;
                }
                sleep(AGAIN).await;
            }
        })
    }

    fn running_boot_env(&self, present: &str) -> String {
        lock(&self.boot_env).get_or_insert_with(|| present.to_owned()).clone()
    }

    fn forget_boot_env(&self) {
        lock(&self.boot_env).take();
    }

    fn run_jobs_in(&self, _: Option<&Path>) {}

    fn open(&self, _: &JobPlace) -> Result<(), String> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.tally.job_begins();
        self.mood.send_replace(Mood::Busy);
        self.stands(State::Running);
        Ok(())
    }

    /// A task is one thing here, whatever number of actions it has: the last one takes its time and comes to its end.
    fn act<'a>(&'a self, step: Step<'a>) -> WorldFuture<'a, Result<ActionEnd, AgentError>> {
        Box::pin(async move {
            let rule = step.last.then(|| self.profile.rule(&step.place.job.task)).flatten();
            Ok(match rule {
                Some(rule) => self.task(rule, step).await,
                None => ActionEnd::Verdict(Verdict::DONE),
            })
        })
    }

    fn has_sane_codes(&self, _: &JobPlace) -> bool {
        false
    }

    fn close(&self, _: &Job, end: Option<(JobState, ExitState)>) {
        self.tally.job_ended(end.map(|(state, _)| state));
    }

    fn waits(&self, machine: &Machine) {
        let failed = [JobState::Failed, JobState::Incomplete];
        let is_held = !machine.runnable
            && !machine.current_job.is_empty()
            && failed.iter().any(|state| state.as_str() == machine.job_state);
        let begun = self.begun.load(Ordering::Relaxed);
        let (mood, state) = match (is_held, machine.workflow_complete) {
            (true, _) => (Mood::Held { job: machine.current_job.clone(), begun }, State::Running),
            (false, true) => (Mood::Idle { begun }, State::Complete),
            (false, false) => (Mood::Busy, State::Running),
        };
        self.stands(state);
        self.mood.send_replace(mood);
    }

    fn change_root(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn boot_card(&self) -> Option<String> {
        self.whoami().mac_addrs.first().map(|mac| format!("01-{}", mac.replace(':', "-")))
    }

    fn load_kernel<'a>(&'a self, _: &'a KernelPlan) -> WorldFuture<'a, Result<(), String>> {
        let turn = self.loads.fetch_add(1, Ordering::Relaxed);
        let loaded = self.chance.happens(self.profile.kexec, "kexec", turn);
        let answer = if loaded { Ok(()) } else { Err(String::from("the profile of the fleet refuses it")) };
        Box::pin(std::future::ready(answer))
    }

    /// The power of a simulated machine is a matter of whoever runs its agent.
    fn switch(&self, _: AgentExit) -> Result<(), AgentError> {
        Ok(())
    }
}

/// Writes so many bytes of lines.
async fn say(log: &LogWriter, bytes: u64) {
    const LINE: &[u8] = b"a line of a simulated task, as long as one of those that programs write\n";
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left.min(OUTPUT)).unwrap_or(0);
        let text: Vec<u8> = LINE.iter().copied().cycle().take(piece).collect();
        log.write(&text).await;
        left -= piece as u64;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! One run: endpoint up, machine on, and then every line and every change until the machine is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::endpoint::{Endpoint, Ports, Site};
use super::journal::Journal;
use super::machine::{self, Machine};
use super::network::Network;
use super::process::{Event, Process, Source, Starter};
use super::progress::Progress;
use super::verdict::{self, Verdict};
use super::{Plan, prepare_files};
use crate::report::{Stopwatch, say};
use crate::shell;

/// How often an interruption and the time limit are looked at when nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// How many lines of each log a failure shows.
const TAIL: usize = 25;

/// How a run ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The machine is done.
    Complete,
    /// Ctrl-C, or a signal to end.
    Interrupted,
}

/// What runs. The fields end in their order: the machine before the endpoint, both before their network.
#[derive(Debug)]
pub(super) struct Session {
    machine: Process,
    feed: Process,
    endpoint: Endpoint,
    watch: Watch,
    // Held for their end alone.
    _network: Option<Network>,
    _starter: Starter,
}

/// What the demo looks at while it waits.
#[derive(Debug)]
struct Watch {
    events: Receiver<Event>,
    interrupted: Arc<AtomicBool>,
    clock: Stopwatch,
    limit: Duration,
    progress: Progress,
}

impl Session {
    /// Runs a machine to the end of its workflow, and if so planned on until an interruption.
    ///
    /// # Errors
    /// The machine did not get there in time, a program ended, or a job failed; the tails of the logs are printed.
    pub(super) fn run(plan: &Plan<'_>) -> Result<Outcome> {
        let interrupted = catch_signals()?;
        let mut journal = Journal::open(&plan.folders.journal)?;
        plan.folders.clear()?;
        prepare_files(plan)?;
        let network = plan.machine.needs_network().then(|| Network::make(&mut journal)).transpose()?;
        let ports = if network.is_some() { Ports::STANDARD } else { Ports::free()? };
        let (program, data) = (plan.program.to_owned(), plan.folders.data.clone());
        let site = Site { network: network.as_ref(), ports, program, data };
        let (sender, events) = mpsc::channel();
        let mut starter = Starter { journal, logs: plan.folders.logs.clone(), events: sender };
        let clock = Stopwatch::start();
        clock.say(&format!("endpoint starts, then {}", plan.machine));
        let mut watch =
            Watch { events, interrupted, clock, limit: plan.limit, progress: Progress::default() };
        let mut endpoint = Endpoint::start(&site, &mut starter)?;
        if watch.until_ready(&mut endpoint)?.is_some() {
            return Ok(Outcome::Interrupted);
        }
        let feed = endpoint.watch(&mut starter)?;
        let command = match (plan.machine, site.network) {
            (Machine::Qemu(firmware), Some(network)) => machine::qemu(network, firmware, &starter.logs)?,
            (Machine::Qemu(_), None) => bail!("a virtual machine needs a boot network"),
            (Machine::Simulated, _) => machine::simulated(&endpoint, ports, &plan.folders.root.join("agent")),
        };
        let machine = starter.start("machine", Source::Machine, command)?;
        watch.clock = Stopwatch::start();
        watch.clock.say("power on");
        let mut session = Self { machine, feed, endpoint, watch, _network: network, _starter: starter };
        session.finish(plan.stay)
    }

    fn finish(&mut self, stay: bool) -> Result<Outcome> {
        match self.until_judged() {
            Ok(Outcome::Complete) => self.show()?,
            Ok(Outcome::Interrupted) => return Ok(Outcome::Interrupted),
            Err(error) => {
                self.show_logs();
                return Err(error);
            }
        }
        if stay { self.stay() } else { Ok(Outcome::Complete) }
    }

    /// Waits for the verdict. The objects are read when the feed has told of a change, never for luck.
    fn until_judged(&mut self) -> Result<Outcome> {
        let mut waiting = "nothing has happened".to_owned();
        // The feed may have told of a change before it was followed.
        let mut changed = true;
        loop {
            match self.watch.next()? {
                Next::Interrupted => return Ok(Outcome::Interrupted),
                Next::Late => bail!("not done after {} s: {waiting}", self.watch.limit.as_secs()),
                Next::Line(Source::Feed | Source::Endpoint) => changed = true,
                Next::Line(Source::Machine) => {}
                Next::Ended(source) => return Err(self.ended(source)),
                Next::Quiet if changed => {
                    changed = false;
                    match verdict::judge(&self.endpoint.machines()?, &self.endpoint.jobs()?) {
                        Verdict::Complete => return Ok(Outcome::Complete),
                        Verdict::Waiting(reason) => waiting = reason,
                        Verdict::Failed(reason, job) => {
                            self.show_job(job.as_deref());
                            bail!("{reason}");
                        }
                    }
                }
                Next::Quiet => {}
            }
        }
    }

    /// Shows what happens until an interruption.
    fn stay(&mut self) -> Result<Outcome> {
        say("\nCtrl-C ends the demo.");
        self.watch.limit = Duration::MAX;
        loop {
            match self.watch.next()? {
                Next::Interrupted => return Ok(Outcome::Interrupted),
                Next::Ended(Source::Machine) => self.watch.clock.say("the machine is off"),
                Next::Ended(source) => return Err(self.ended(source)),
                Next::Line(_) | Next::Quiet | Next::Late => {}
            }
        }
    }

    fn ended(&mut self, source: Source) -> anyhow::Error {
        let (name, process) = match source {
            Source::Endpoint => ("the endpoint", self.endpoint.process()),
            Source::Machine => ("the machine", &mut self.machine),
            Source::Feed => ("`formwork events watch`", &mut self.feed),
        };
        anyhow!("{name} ended before the machine was done: {}", process.status())
    }

    fn show(&self) -> Result<()> {
        self.watch.clock.say("the workflow is complete");
        let machines = self.endpoint.machines()?;
        let machine = machines.first().context("the machine is gone")?;
        say(&format!("\ninventory of {}\n{}", verdict::text(machine, "Name"), verdict::inventory(machine)));
        say(&format!("\njobs\n{}", verdict::job_list(&self.endpoint.jobs()?)));
        say(&format!("\nendpoint  {}", self.endpoint.url()));
        say(&format!("export RS_ENDPOINT={} RS_KEY={}", self.endpoint.url(), self.endpoint.key()));
        Ok(())
    }

    fn show_logs(&mut self) {
        say(&format!("\nlast words of the endpoint:\n{}", self.endpoint.process().tail(TAIL)));
        say(&format!("\nlast words of the machine:\n{}\n", self.machine.tail(TAIL)));
    }

    fn show_job(&self, job: Option<&str>) {
        let Some(job) = job else { return };
        let log = shell::stdout(self.endpoint.formwork().args(["jobs", "log", job]));
        say(&format!("\nlog of the job:\n{}", log.unwrap_or_else(|error| format!("{error:#}"))));
    }
}

/// What happened next.
#[derive(Debug)]
enum Next {
    Line(Source),
    Ended(Source),
    /// Nothing for a moment.
    Quiet,
    Late,
    Interrupted,
}

impl Watch {
    /// Waits for one thing to happen, and tells it when it is a step.
    fn next(&mut self) -> Result<Next> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Ok(Next::Interrupted);
        }
        if self.clock.elapsed() > self.limit {
            return Ok(Next::Late);
        }
        match self.events.recv_timeout(TICK) {
            Ok(Event::Line(source, line)) => {
                if let Some(step) = self.progress.step(source, &line) {
                    self.clock.say(&step);
                }
                Ok(Next::Line(source))
            }
            Ok(Event::Ended(source)) => Ok(Next::Ended(source)),
            Err(RecvTimeoutError::Timeout) => Ok(Next::Quiet),
            Err(RecvTimeoutError::Disconnected) => bail!("nothing is left that could happen"),
        }
    }

    /// Waits until the endpoint answers and has its settings; returns early on an interruption.
    fn until_ready(&mut self, endpoint: &mut Endpoint) -> Result<Option<Outcome>> {
        let mut last = None;
        loop {
            match self.next()? {
                Next::Interrupted => return Ok(Some(Outcome::Interrupted)),
                Next::Late | Next::Ended(_) => {
                    say(&format!("\nlast words of the endpoint:\n{}\n", endpoint.process().tail(TAIL)));
                    let error = last.unwrap_or_else(|| anyhow!("it said nothing"));
                    return Err(error.context("the endpoint did not come up"));
                }
                Next::Line(_) | Next::Quiet => {}
            }
            match endpoint.machines() {
                Ok(_) => break,
                Err(error) => last = Some(error),
            }
        }
        endpoint.ask(["prefs", "set", "unknownBootEnv", "discovery", "defaultWorkflow", "discover"])?;
        self.clock.say(&format!("endpoint answers at {}", endpoint.url()));
        Ok(None)
    }
}

/// Returns a flag that an interruption sets; a second one ends this program at once.
fn catch_signals() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .context("failed to catch signals")?;
    }
    Ok(interrupted)
}

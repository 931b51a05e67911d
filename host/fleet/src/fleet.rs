//! All machines of a fleet, from the first boot to the last word.

use std::{sync::Arc, time::Duration};

use formwork_agent::{EventSource, Setup, SharedEvents};
use formwork_client::Client;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Profile, Progress, Summary,
    chance::Chance,
    machine::Life,
    tally::{Counts, Tally},
    world::SimulatedMachine,
};

/// How long the agents' last words may take together; each has 5 s for its own.
const FAREWELL: Duration = Duration::from_secs(10);

/// How a fleet is run.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// How many machines there are.
    pub machines: u32,
    /// What they are and do.
    pub profile: Profile,
    /// What decides where the profile leaves a choice.
    pub seed: u64,
    /// When all ends at the latest; never without it.
    pub time: Option<Duration>,
    /// What follows when the machines have nothing to do any more.
    pub when_complete: WhenComplete,
    /// How many requests of all machines are under way at once.
    pub connections: usize,
    /// How the machines hear of changes.
    pub streams: Streams,
}

/// What follows when machines have nothing to do any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenComplete {
    /// The fleet ends once that is so for all machines.
    End,
    /// They wait for more.
    Stay,
    /// Each begins its workflow again.
    Again,
}

/// How machines hear of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// All by one stream of the caller's.
    Shared,
    /// Each by its own, as machines that are there do.
    Own,
}

/// A fleet that can be run.
#[derive(Debug)]
pub struct Fleet {
    options: FleetOptions,
    client: Client,
    tally: Arc<Tally>,
}

impl Fleet {
    /// Prepares a fleet for an endpoint. The caller of `client` makes machines and changes them.
    #[must_use]
    pub fn new(options: FleetOptions, client: &Client) -> Self {
        let tally = Arc::new(Tally::new(options.machines));
        // Agents send again what failed, each in its own time.
        let client = client.with_retries(0, |_, _| {}).with_at_most(options.connections).with_meter(Arc::<
            Tally,
        >::clone(
            &tally
        ));
        Self { options, client, tally }
    }

    /// Returns how far the fleet is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.tally.progress()
    }

    /// Runs the fleet until all machines have come to an end, its time is over, or it is told to end.
    pub async fn run(&self, shutdown: &CancellationToken) -> Summary {
        let stop = shutdown.child_token();
        let mut lives = JoinSet::new();
        let profile = Arc::new(self.options.profile.clone());
        let mut listener = JoinSet::new();
        let events = match self.options.streams {
            Streams::Own => EventSource::Own,
            Streams::Shared => {
                let events = Arc::new(SharedEvents::default());
                let (shared, client) = (Arc::clone(&events), self.client.clone());
                listener.spawn(async move { shared.follow(&client).await });
                EventSource::Shared(events)
            }
        };
        for machine in 0..self.options.machines {
            let chance = Chance { seed: self.options.seed, machine };
            let (client, tally) = (self.client.clone(), Arc::clone(&self.tally));
            let life = Life {
                world: Arc::new(SimulatedMachine::new(chance, Arc::clone(&profile), client, tally)),
                profile: Arc::clone(&profile),
                setup: Setup {
                    client: self.client.clone(),
                    context: String::new(),
                    machine: None,
                    once: false,
                    events: events.clone(),
                },
                when_complete: self.options.when_complete,
                resumes: 0,
                resumed_at: None,
            };
            lives.spawn(life.live(stop.clone()));
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.time() => {}
            () = self.all_settled() => {}
        }
        // Before the machines go, which counts as an end.
        let summary = self.tally.summary(self.options.seed);
        stop.cancel();
        timeout(FAREWELL, async { while lives.join_next().await.is_some() {} }).await.ok();
        summary
    }

    async fn time(&self) {
        match self.options.time {
            Some(time) => sleep(time).await,
            None => std::future::pending().await,
        }
    }

    async fn all_settled(&self) {
        let machines = u64::from(self.options.machines);
        let all = |counts: &Counts| counts.settled() >= machines;
        if self.options.when_complete == WhenComplete::End && self.tally.watch().wait_for(all).await.is_ok() {
            return;
        }
        std::future::pending().await
    }
}

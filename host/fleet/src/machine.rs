//! The life of a simulated machine: boots, crashes, reboots, and the operator who lets it go on.

use std::{sync::Arc, time::Duration};

use formwork_agent::{AgentError, AgentExit, Setup, is_dead_end, run_in};
use formwork_client::{ClientError, PatchOp};
use formwork_model::{Job, Machine};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    Profile, WhenComplete,
    amount::Time,
    tally::{State, add},
    world::{AGAIN, Mood, SimulatedMachine},
};

/// A machine and what runs on it.
pub(crate) struct Life {
    pub(crate) world: Arc<SimulatedMachine>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) setup: Setup,
    pub(crate) when_complete: WhenComplete,
    /// How often the machine was let go on, or switched on again.
    pub(crate) resumes: u64,
    /// How many jobs had begun when it was let go on, or began its workflow again, the last time.
    pub(crate) resumed_at: Option<u64>,
}

/// How the power of a machine went off.
enum Down {
    /// It comes again by itself.
    Reboot,
    /// Somebody has to switch it on.
    Off,
    /// Never again.
    Ended,
}

impl Life {
    /// Lives until the fleet ends or nothing can happen to the machine any more.
    pub(crate) async fn live(mut self, stop: CancellationToken) {
        let mut away = self.time(self.profile.start, "start", 0);
        for boot in 0.. {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(away) => {}
            }
            self.world.boot();
            let down = self.run(&stop).await;
            self.world.stands(State::Away);
            let comes_again = match down {
                Down::Reboot => true,
                Down::Off => tokio::select! {
                    () = stop.cancelled() => return,
                    resumed = self.resume() => resumed,
                },
                Down::Ended => false,
            };
            if !comes_again {
                self.world.stands(State::Ended);
                return;
            }
            away = self.time(self.profile.reboot, "reboot", boot);
        }
    }

    /// Runs the agent from one boot to the end of that.
    async fn run(&mut self, stop: &CancellationToken) -> Down {
        let world = Arc::clone(&self.world);
        let of_this_boot = stop.child_token();
        let agent = run_in(Arc::clone(&world) as _, self.setup.clone(), of_this_boot.clone());
        let end = tokio::select! {
            end = agent => Some(end),
            () = world.gone.notified() => None,
            () = self.operate() => None,
        };
        // What the agent left running ends too.
        of_this_boot.cancel();
        match end {
            None => {
                add(&world.tally.crashes);
                Down::Reboot
            }
            Some(Ok(AgentExit::Reboot)) => {
                add(&world.tally.reboots);
                Down::Reboot
            }
            Some(Ok(AgentExit::Kexec)) => {
                add(&world.tally.kexecs);
                Down::Reboot
            }
            Some(Ok(AgentExit::Stop)) if world.is_installing() => {
                add(&world.tally.reboots);
                Down::Reboot
            }
            Some(Ok(AgentExit::Stop | AgentExit::Poweroff)) => Down::Off,
            Some(Ok(AgentExit::Signal | AgentExit::Idle)) => Down::Ended,
            Some(Err(error)) => {
                world.tally.error(words(&error));
                Down::Ended
            }
        }
    }

    /// Does what an operator does about a machine that waits. Ends never.
    async fn operate(&mut self) {
        let mut moods = self.world.mood.subscribe();
        loop {
            let mood = moods.borrow_and_update().clone();
            let done = match mood {
                Mood::Held { job, begun } if self.resumed_at != Some(begun) => {
                    self.release(&job, begun).await
                }
                Mood::Idle { begun } if self.begins_again(begun) => self.begin_again(begun).await,
                Mood::Held { .. } | Mood::Idle { .. } | Mood::Busy => Ok(()),
            };
            match done {
                // The sender lives as long as the world.
                Ok(()) => drop(moods.changed().await),
                Err(error) => {
                    tracing::info!(error = error.chain(), "the operator tries again");
                    sleep(AGAIN).await;
                }
            }
        }
    }

    /// Lets a machine go on that a job stopped, unless the endpoint does it by itself or it was let go on often enough.
    async fn release(&mut self, job: &str, begun: u64) -> Result<(), ClientError> {
        let job: Job = self.setup.client.get(job).await?;
        if !is_dead_end(&job) {
            return Ok(());
        }
        if !self.resume().await {
            self.world.stands(State::Failed);
            return Ok(());
        }
        self.change(&[PatchOp::replace("/Runnable", true)]).await?;
        self.resumed_at = Some(begun);
        Ok(())
    }

    fn begins_again(&self, begun: u64) -> bool {
        self.when_complete == WhenComplete::Again && self.resumed_at != Some(begun)
    }

    /// Brings a machine back to the beginning of its workflow.
    async fn begin_again(&mut self, begun: u64) -> Result<(), ClientError> {
        self.change(&[PatchOp::replace("/CurrentTask", -1), PatchOp::replace("/Runnable", true)]).await?;
        self.resumed_at = Some(begun);
        Ok(())
    }

    async fn change(&self, operations: &[PatchOp]) -> Result<(), ClientError> {
        match self.world.uuid() {
            Some(uuid) => self.setup.client.patch::<Machine>(uuid, operations).await.map(drop),
            None => Ok(()),
        }
    }

    /// Waits for the operator. Returns false when he has given the machine up.
    async fn resume(&mut self) -> bool {
        if self.resumes >= self.profile.operator.resumes {
            return false;
        }
        sleep(self.time(self.profile.operator.after, "resume", self.resumes)).await;
        self.resumes += 1;
        add(&self.world.tally.resumes);
        true
    }

    fn time(&self, time: Time, question: &str, turn: u64) -> Duration {
        Duration::from_millis(self.world.chance.within(time.0, question, turn))
    }
}

/// Returns an error with its causes in one line.
fn words(error: &AgentError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

//! Requests of one machine: they outlive a restart of the endpoint and the end of a token.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use formwork_api::Whoami;
use formwork_client::{Client, ClientError, Credentials, PatchOp};
use formwork_model::{
    Cluster, ExitState, Job, JobState, Kind, Machine, MachineFingerprint, Record as _, ResourceBroker,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{AgentError, retry::until_answered};

/// How long the agent's tokens live: long enough for an endpoint that is away over a weekend.
const TOKEN_TTL: &str = "3d";

/// How often a token is replaced by a fresh one.
const RENEWAL: Duration = Duration::from_secs(3600);

/// How long after the order to end a job's last words may take.
const GRACE: Duration = Duration::from_secs(5);

/// When to stop asking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// The agent is to end: nothing new is begun.
    pub(crate) soon: CancellationToken,
    /// The time for last words is over.
    pub(crate) now: CancellationToken,
}

impl Stop {
    /// Watches for the order to end. `now` follows it after the time that last words may take.
    pub(crate) fn after(shutdown: CancellationToken) -> Self {
        let stop = Self { soon: shutdown, now: CancellationToken::new() };
        let (soon, now) = (stop.soon.clone(), stop.now.clone());
        tokio::spawn(async move {
            soon.cancelled().await;
            tokio::time::sleep(GRACE).await;
            now.cancel();
        });
        stop
    }
}

/// One machine at one endpoint.
#[derive(Debug)]
pub(crate) struct Session {
    /// The key of the machine.
    pub(crate) machine: String,
    /// What it is: a machine, or what goes through tasks as one.
    pub(crate) kind: &'static Kind,
    /// When to stop.
    pub(crate) stop: Stop,
    whoami: Whoami,
    original: Client,
    current: RwLock<Client>,
}

impl Session {
    /// Starts with the credentials that the agent was given, `original`, and those of the machine, if it has some.
    pub(crate) fn new(machine: String, original: Client, token: Option<String>, whoami: Whoami) -> Self {
        let current = match token {
            Some(token) => original.with_credentials(Credentials::Token(token)),
            None => original.clone(),
        };
        let (kind, stop, current) = (Machine::KIND, Stop::default(), RwLock::new(current));
        Self { machine, kind, stop, whoami, original, current }
    }

    /// Finds out whether the key is that of a machine, a cluster or a resource broker; what cannot be seen counts as a machine.
    ///
    /// # Errors
    ///
    /// The order to end.
    pub(crate) async fn settled(mut self) -> Result<Self, AgentError> {
        let (client, uuid) = (self.client(), &self.machine);
        for kind in [Machine::KIND, Cluster::KIND, ResourceBroker::KIND] {
            let read =
                until_answered(&self.stop.soon, "find what this is", || client.machine_like(kind, uuid));
            match read.await {
                Ok(_) => {
                    self.kind = kind;
                    break;
                }
                Err(error @ AgentError::Shutdown) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(self)
    }

    /// Sets when to stop.
    pub(crate) fn stopping(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// Returns what the firmware says.
    pub(crate) fn fingerprint(&self) -> &MachineFingerprint {
        &self.whoami.fingerprint
    }

    /// Returns a client with the machine's present token.
    pub(crate) fn client(&self) -> Client {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request until it is answered or the agent is to end.
    pub(crate) async fn ask<T, F>(&self, what: &str, request: impl Fn(Client) -> F) -> Result<T, AgentError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        self.send(&self.stop.soon, what, request).await
    }

    /// Sends a request that belongs to the end of a job: it may still be sent while the agent ends.
    pub(crate) async fn finish<T, F>(
        &self,
        what: &str,
        request: impl Fn(Client) -> F,
    ) -> Result<T, AgentError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        self.send(&self.stop.now, what, request).await
    }

    async fn send<T, F>(
        &self,
        stop: &CancellationToken,
        what: &str,
        request: impl Fn(Client) -> F,
    ) -> Result<T, AgentError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let answer = until_answered(stop, what, || request(self.client())).await;
        match answer.as_ref().err().and_then(AgentError::status) {
            // The token may have ended while the endpoint was away.
            Some(401 | 403) if self.renew(stop).await => {
                until_answered(stop, what, || request(self.client())).await
            }
            _ => answer,
        }
    }

    /// Replaces the token by a fresh one from time to time. Ends never.
    pub(crate) async fn keep_token_fresh(&self) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            if !self.renew(&self.stop.soon).await {
                tracing::warn!(machine.id = self.machine, "failed to get a fresh token");
            }
        }
    }

    /// Gets a fresh token: with the present one, else with what the agent was given, else by the hardware.
    pub(crate) async fn renew(&self, stop: &CancellationToken) -> bool {
        for client in [self.client(), self.original.clone()] {
            let token = until_answered(stop, "get a token", || {
                client.agent_token(self.kind, &self.machine, TOKEN_TTL)
            });
            if let Ok(token) = token.await {
                self.replace(token.token);
                return true;
            }
        }
        let known =
            until_answered(stop, "identify this machine", || self.original.whoami(&self.whoami)).await;
        match known {
            Ok(known) if known.result.uuid == self.machine && !known.result.token.is_empty() => {
                self.replace(known.result.token);
                true
            }
            _ => false,
        }
    }

    fn replace(&self, token: String) {
        let fresh = self.original.with_credentials(Credentials::Token(token));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// Returns the machine as it is now.
    pub(crate) async fn read_machine(&self) -> Result<Machine, AgentError> {
        let (kind, uuid) = (self.kind, &self.machine);
        let read =
            self.ask("read the machine", |client| async move { client.machine_like(kind, uuid).await }).await;
        match read {
            Err(error) if error.status() == Some(404) => Err(AgentError::MachineGone { uuid: uuid.clone() }),
            read => read,
        }
    }

    /// Changes the machine. Returns false when the endpoint refuses, which is the answer to a test that fails.
    pub(crate) async fn patch_machine(&self, operations: &[PatchOp]) -> Result<bool, AgentError> {
        let (prefix, uuid) = (self.kind.prefix, &self.machine);
        let patched = self
            .finish("change the machine", |client| async move {
                client.collection(prefix).patch(uuid, operations).await
            })
            .await;
        match patched {
            Ok(_) => Ok(true),
            Err(AgentError::Refused { source, .. }) => {
                tracing::debug!(machine.id = self.machine, "change of the machine refused: {source}");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns a param of the machine, wherever it has it from; `None` when there is none or it may not be read.
    pub(crate) async fn param(&self, name: &str) -> Result<Option<Value>, AgentError> {
        let (prefix, uuid) = (self.kind.prefix, &self.machine);
        let read =
            self.ask("read a param", |client| async move {
                client.collection(prefix).param(uuid, name, true).await
            })
            .await;
        match read {
            Ok(value) => Ok(Some(value)),
            Err(AgentError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the machine not runnable, so that nothing else is started on it. Goes on when that is refused
    /// (drp-api.md 9.3).
    pub(crate) async fn pause_machine(&self) -> Result<(), AgentError> {
        let operations = [PatchOp::test("/Runnable", true), PatchOp::replace("/Runnable", false)];
        self.patch_machine(&operations).await.map(drop)
    }

    /// Moves a job from one state to another. Returns false when it is not this agent's any more: the endpoint failed it
    /// because the machine was given another workflow, or it is gone.
    ///
    /// The endpoint may also fail what was to be left for later, as after too many reboots. `errors` are added to the job's
    /// own. A repeat after a lost answer is refused by the test, and then what is there decides.
    pub(crate) async fn move_job(
        &self,
        job: &str,
        (from, to): (JobState, JobState),
        exit: ExitState,
        errors: &[String],
    ) -> Result<bool, AgentError> {
        let mut operations =
            vec![PatchOp::test("/State", from.as_str()), PatchOp::replace("/State", to.as_str())];
        if exit != ExitState::None {
            operations.push(PatchOp::replace("/ExitState", exit.as_str()));
        }
        operations.extend(errors.iter().map(|error| PatchOp::add("/ResultErrors/-", error.as_str())));
        let operations = &operations;
        let what = format!("make job `{job}` {}", to.as_str());
        let moved =
            self.finish(&what, |client| async move { client.patch::<Job>(job, operations).await }).await;
        match moved {
            Ok(job) => Ok(job.state == to),
            Err(error) if matches!(error.status(), Some(409 | 422)) => {
                Ok(self.job_state(job).await? == Some(to))
            }
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the state of a job; `None` when it is gone.
    pub(crate) async fn job_state(&self, job: &str) -> Result<Option<JobState>, AgentError> {
        Ok(self.read_job(job).await?.map(|job| job.state))
    }

    /// Returns a job; `None` when it is gone.
    pub(crate) async fn read_job(&self, job: &str) -> Result<Option<Job>, AgentError> {
        let read = self.finish("read the job", |client| async move { client.get::<Job>(job).await }).await;
        match read {
            Ok(job) => Ok(Some(job)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

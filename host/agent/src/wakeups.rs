//! When to look at the machine again: the event stream says so.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use formwork_client::{Client, ClientError};
use formwork_model::{Machine, Record as _};
use tokio::sync::watch;

use crate::{retry::Backoff, session::Session};

/// A stream that lived this long was in order: the next pause is the shortest again.
const STABLE: Duration = Duration::from_secs(60);

/// Tells `changed` of every event of the machine, and of every new connection, since something may have happened
/// before it. Ends never.
pub(crate) async fn follow(session: Arc<Session>, changed: watch::Sender<u64>) {
    let mut pauses = Pauses::new();
    loop {
        let error = follow_once(&session, &changed).await;
        if error.is_refused() {
            session.renew(&session.stop.soon).await;
        }
        pauses.rest(&error).await;
    }
}

async fn follow_once(session: &Session, changed: &watch::Sender<u64>) -> ClientError {
    let (client, prefix, machine) = (session.client(), session.kind.prefix, &session.machine);
    let follow = async {
        let mut events = client.events().await?;
        events.register(&format!("{prefix}.*.{machine}")).await?;
        tracing::debug!(machine.id = machine, "event stream open");
        loop {
            tell(changed);
            events.next_key().await?;
        }
    };
    ended(follow.await)
}

/// One event stream for the agents of many machines, all at one endpoint.
#[derive(Debug, Default)]
pub struct SharedEvents {
    /// Who listens to what happens to which machine.
    listeners: Mutex<HashMap<String, watch::Sender<u64>>>,
}

/// The place of one agent at a stream that is shared; it is given up when this is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    events: Arc<SharedEvents>,
    machine: String,
}

impl SharedEvents {
    /// Keeps a stream of events open that a caller sees who may see all these machines. Ends never.
    pub async fn follow(&self, client: &Client) {
        let mut pauses = Pauses::new();
        loop {
            let follow = async {
                let mut events = client.events().await?;
                events.register(&format!("{}.*.*", Machine::KIND.prefix)).await?;
                // Something may have happened before the stream was open.
                self.listeners().values().for_each(tell);
                loop {
                    let key = events.next_key().await?;
                    if let Some(changed) = self.listeners().get(&key) {
                        tell(changed);
                    }
                }
            };
            let error = ended(follow.await);
            pauses.rest(&error).await;
        }
    }

    /// Has `changed` told of what happens to a machine. A later listener to the same machine takes the place of the first.
    pub(crate) fn listen(self: &Arc<Self>, machine: &str, changed: watch::Sender<u64>) -> Listening {
        self.listeners().insert(machine.to_owned(), changed);
        Listening { events: Arc::clone(self), machine: machine.to_owned() }
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<u64>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A later listener has an open channel, this one has none any more.
        let mut listeners = self.events.listeners();
        if listeners.get(&self.machine).is_some_and(watch::Sender::is_closed) {
            listeners.remove(&self.machine);
        }
    }
}

/// The pauses between one stream and the next.
struct Pauses {
    backoff: Backoff,
    since: tokio::time::Instant,
}

impl Pauses {
    fn new() -> Self {
        Self { backoff: Backoff::new(), since: tokio::time::Instant::now() }
    }

    /// Waits after a stream ended.
    async fn rest(&mut self, error: &ClientError) {
        if self.since.elapsed() > STABLE {
            self.backoff = Backoff::new();
        }
        let pause = self.backoff.pause();
        tracing::info!(
            error = error.chain(),
            pause_ms = pause.as_millis() as u64,
            "no event stream, trying again"
        );
        tokio::time::sleep(pause).await;
        self.since = tokio::time::Instant::now();
    }
}

fn tell(changed: &watch::Sender<u64>) {
    changed.send_modify(|count| *count = count.wrapping_add(1));
}

fn ended(stream: Result<Infallible, ClientError>) -> ClientError {
    match stream {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

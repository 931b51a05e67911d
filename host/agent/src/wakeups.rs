//! When to look at the machine again: the event stream says so.

use std::{sync::Arc, time::Duration};

use formwork_client::ClientError;
use tokio::sync::watch;

use crate::{retry::Backoff, session::Session};

/// A stream that lived this long was in order: the next pause is the shortest again.
const STABLE: Duration = Duration::from_secs(60);

/// Tells `changed` of every event of the machine, and of every new connection, since something may have happened
/// before it. Ends never.
pub(crate) async fn follow(session: Arc<Session>, changed: watch::Sender<u64>) {
    let mut backoff = Backoff::new();
    loop {
        let since = tokio::time::Instant::now();
        let error = follow_once(&session, &changed).await;
        if since.elapsed() > STABLE {
            backoff = Backoff::new();
        }
        if error.is_refused() {
            session.renew(&session.stop.soon).await;
        }
        let pause = backoff.pause();
        tracing::info!(
            error = error.chain(),
            pause_ms = pause.as_millis() as u64,
            "no event stream, trying again"
        );
        tokio::time::sleep(pause).await;
    }
}

async fn follow_once(session: &Session, changed: &watch::Sender<u64>) -> ClientError {
    let (client, prefix, machine) = (session.client(), session.kind.prefix, &session.machine);
    let follow = async {
        let mut events = client.events().await?;
        events.register(&format!("{prefix}.*.{machine}")).await?;
        tracing::debug!(machine.id = machine, "event stream open");
        loop {
            changed.send_modify(|count| *count = count.wrapping_add(1));
            events.next().await?;
        }
    };
    let ended: Result<std::convert::Infallible, ClientError> = follow.await;
    match ended {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

//! When the program is told to end.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Returns a token that an interruption or SIGTERM cancels. A second signal ends the program at once.
pub(crate) fn on_signal() -> Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to catch SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("failed to catch SIGTERM")?;
    let token = CancellationToken::new();
    let told = token.clone();
    tokio::spawn(async move {
        loop {
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            if told.is_cancelled() {
                std::process::exit(code);
            }
            told.cancel();
        }
    });
    Ok(token)
}

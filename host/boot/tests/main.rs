//! The services on real sockets: loopback with high ports, and a network namespace where that is permitted.

#![cfg(test)]

mod dhcp;
mod dhcp6;
mod http;
mod interfaces;
mod link;
mod link6;
mod probe;
mod raw;
mod tftp;

use std::future::Future;
use std::time::Duration;

/// Longer than anything here takes, so that a lost packet fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits with patience.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// Waits until a condition on counters holds.
async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

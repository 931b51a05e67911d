//! A bound on the frames that a reader looks at, whatever a hostile host sends.

use std::time::Duration;

/// Lets a reader rest after each batch. What comes meanwhile waits in the buffer of the socket, and what does not fit
/// there is dropped by the kernel at no cost to this process.
#[derive(Debug)]
pub(crate) struct Pace {
    batch: u32,
    pause: Duration,
    left: u32,
}

impl Pace {
    /// Allows `batch` frames between two pauses.
    pub(crate) fn new(batch: u32, pause: Duration) -> Self {
        Self { batch, pause, left: batch }
    }

    /// Counts a frame, and waits where it was the last one of its batch.
    pub(crate) async fn step(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.left = self.batch;
            tokio::time::sleep(self.pause).await;
        }
    }
}

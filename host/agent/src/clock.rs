//! The agent's one clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns milliseconds since 1970-01-01 00:00 UTC; 0 on a machine whose clock is before that.
#[expect(clippy::disallowed_methods, reason = "the one real clock of the agent")]
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

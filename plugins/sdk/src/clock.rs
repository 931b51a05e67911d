//! The time of day. Prefer the time that comes with the call: it is the same in a test and in a replay.

use crate::Timestamp;
use crate::host;

/// Returns the time. Within one call it never goes back.
pub fn now() -> Timestamp {
    Timestamp(host::clock::now_ms())
}

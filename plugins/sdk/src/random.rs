//! Random bytes, fit for keys and tokens.

use crate::host;

/// Returns `count` bytes; at most 4096.
pub fn bytes(count: u32) -> Vec<u8> {
    host::random::bytes(count)
}

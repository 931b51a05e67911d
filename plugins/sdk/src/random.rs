//! Random bytes, fit for keys and tokens.

use crate::bindings::capabilities::formwork::random::random;

/// Returns `count` bytes; at most 4096.
pub fn bytes(count: u32) -> Vec<u8> {
    random::bytes(count)
}

//! `random`: random bytes. Needs no grant.

use serde::{Deserialize, Serialize};

use super::bindings::formwork::random::random as wit;
use crate::HostCall;
use crate::state::CallState;

/// Most bytes of one answer.
const MAX_BYTES: u32 = 4096;

/// A question for random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RandomCall {
    /// How many; at most 4096.
    pub count: u32,
}

impl wit::Host for CallState {
    async fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        self.count_call()?;
        let count = count.min(MAX_BYTES);
        let mut bytes = self.ask(HostCall::Random(RandomCall { count })).await?.bytes()?.0;
        bytes.truncate(count as usize);
        Ok(bytes)
    }
}

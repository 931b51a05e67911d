//! `clock`: the time of day. Needs no grant.

use super::bindings::formwork::clock::clock as wit;
use crate::HostCall;
use crate::state::CallState;

impl wit::Host for CallState {
    async fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.count_call()?;
        let now = self.ask(HostCall::Clock).await?.time()?;
        // A clock that is set back meanwhile stands still instead.
        self.last_time = self.last_time.max(now);
        Ok(self.last_time)
    }
}

//! A host that notes which grants a call uses.

use std::sync::Arc;

use formwork_model::ComponentRecord;
use formwork_sandbox::{GrantCounter, Host, HostAnswer, HostCall, HostError, HostFuture, Refusal};

use crate::endpoint::Endpoint;

/// Passes on what a component asks of the host, and counts the grants that it needed when the call is over.
pub(crate) struct Counted {
    endpoint: Arc<Endpoint>,
    component: String,
    counter: GrantCounter,
}

impl Counted {
    /// Puts the counter between the component `PACK/COMPONENT` and its host.
    pub(crate) fn new(
        endpoint: &Arc<Endpoint>,
        component: &str,
        record: &ComponentRecord,
        host: Arc<dyn Host>,
    ) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            component: component.to_owned(),
            counter: GrantCounter::new(&record.grants, host),
        }
    }
}

impl Host for Counted {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        self.counter.call(call)
    }

    fn refused(&self, refusal: Refusal) {
        self.counter.refused(refusal);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.endpoint.packs.usage.note(&self.component, self.counter.take(), self.endpoint.now());
    }
}

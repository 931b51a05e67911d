//! A host that notes which grants a call uses.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use formwork_model::ComponentRecord;
use formwork_packs::covers;
use formwork_sandbox::{FilesCall, Host, HostAnswer, HostCall, HostError, HostFuture, KvCall, ParamsCall};

use crate::endpoint::Endpoint;

/// Passes on what a component asks of the host, and counts the grants that it needed when the call is over.
pub(crate) struct Counted {
    endpoint: Arc<Endpoint>,
    component: String,
    lines: Vec<String>,
    used: Mutex<BTreeSet<usize>>,
    host: Arc<dyn Host>,
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
            lines: record.grants.clone(),
            used: Mutex::default(),
            host,
        }
    }
}

impl Host for Counted {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        let used = needed(&call).and_then(|needed| self.lines.iter().position(|line| covers(line, &needed)));
        if let Some(used) = used {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(used);
        }
        self.host.call(call)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let used = self.used.get_mut().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&String> = used.iter().filter_map(|at| self.lines.get(*at)).collect();
        self.endpoint.packs.usage.note(&self.component, lines, self.endpoint.now());
    }
}

/// Returns the narrowest grant line that a call needs; nothing for what needs none or is no single thing.
fn needed(call: &HostCall) -> Option<String> {
    let file = |root: &str, access: &str| Some(format!("files: {root} {access}"));
    match call {
        HostCall::Params(ParamsCall::Read { name }) => Some(format!("params: read {name}")),
        HostCall::Params(ParamsCall::List { prefix }) => Some(format!("params: read {prefix}*")),
        HostCall::Params(ParamsCall::Write { name, .. } | ParamsCall::Remove { name }) => {
            Some(format!("params: write {name}"))
        }
        HostCall::Http(request) => Some(format!("http: {}", request.url)),
        HostCall::Kv(KvCall::Get { .. } | KvCall::List { .. }) => Some(String::from("kv: ro")),
        HostCall::Kv(_) => Some(String::from("kv: rw")),
        HostCall::Files(FilesCall::Write { root, .. }) => file(root, "rw"),
        HostCall::Files(
            FilesCall::Read { root, .. } | FilesCall::List { root, .. } | FilesCall::ReadLink { root, .. },
        ) => file(root, "ro"),
        HostCall::Exec(command) => Some(format!("exec: {}", command.program)),
        HostCall::Secrets(secret) => Some(format!("secrets: {}", secret.name)),
        HostCall::Progress(_) => Some(String::from("progress")),
        HostCall::Clock => Some(String::from("clock")),
        HostCall::Random(_) => Some(String::from("random")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_needs_the_line_that_grants_it() {
        let read = |name: &str| HostCall::Params(ParamsCall::Read { name: name.to_owned() });
        let write = HostCall::Params(ParamsCall::Remove { name: String::from("a/b") });
        let kv = HostCall::Kv(KvCall::Get { key: String::from("k") });
        let file = HostCall::Files(FilesCall::List { root: String::from("/sys"), path: String::from("x") });
        for (call, line, other) in [
            (read("a/b"), "params: read a/*", "params: write a/*"),
            (write, "params: write *", "params: read *"),
            (kv, "kv: rw", "params: read k"),
            (file, "files: /sys ro", "files: /proc ro"),
            (HostCall::Clock, "clock", "random"),
        ] {
            let needed = needed(&call).unwrap();
            assert!(covers(line, &needed) && !covers(other, &needed), "{needed}");
        }
    }
}

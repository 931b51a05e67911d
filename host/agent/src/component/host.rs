//! What the agent does for a task: parameters through the endpoint, everything else on the machine itself.

use std::sync::{Mutex, PoisonError};

use formwork_sandbox::{
    Host, HostAnswer, HostCall, HostError, HostFuture, ParamsCall, ProgressReport, native,
};
use serde_json::Value;

use super::JobPlace;

/// The side of the host in one call.
pub(super) struct AgentHost {
    place: JobPlace,
    http: native::Http,
    files: native::Files,
    /// The last report of progress: the same one twice is written once.
    progress: Mutex<Option<ProgressReport>>,
}

impl AgentHost {
    pub(super) fn new(place: JobPlace, http: native::Http) -> Self {
        Self { place, http, files: native::Files::new(), progress: Mutex::default() }
    }

    async fn params(&self, call: ParamsCall) -> Result<HostAnswer, HostError> {
        let uuid = &self.place.machine.uuid;
        match call {
            ParamsCall::Read { name } => {
                let name = &name;
                let read = self.place.ask("read a param", |client| async move {
                    client.collection("machines").param(uuid, name, true).await
                });
                Ok(HostAnswer::Text(match read.await? {
                    Value::Null => None,
                    // A secure param is read as a secret, which only the endpoint lends.
                    value if formwork_client::is_sealed(&value) => None,
                    value => Some(value.to_string()),
                }))
            }
            ParamsCall::Write { name, json } => {
                let value: Value =
                    serde_json::from_str(&json).map_err(|error| HostError::Invalid(error.to_string()))?;
                let (name, value) = (&name, &value);
                let written = self.place.ask("write a param", |client| async move {
                    client.collection("machines").param_set(uuid, name, value).await
                });
                written.await.map(|_| HostAnswer::Done)
            }
            ParamsCall::Remove { name } => {
                let name = &name;
                let removed = self.place.ask("remove a param", |client| async move {
                    match client.collection("machines").param_remove(uuid, name).await {
                        // What is not there need not be removed.
                        Err(error) if error.status() == Some(404) => Ok(Value::Null),
                        removed => removed,
                    }
                });
                removed.await.map(|_| HostAnswer::Done)
            }
            ParamsCall::List { prefix } => {
                let params = self.place.ask("list the params", |client| async move {
                    client.collection("machines").params(uuid, true).await
                });
                let names = params.await?.into_iter().map(|(name, _)| name);
                Ok(HostAnswer::Names(names.filter(|name| name.starts_with(&prefix)).collect()))
            }
            other => Err(HostError::Unavailable(format!("this agent is too old for {other:?}"))),
        }
    }

    async fn progress(&self, report: ProgressReport) {
        let text = report.text();
        let last = self.progress.lock().unwrap_or_else(PoisonError::into_inner).replace(report.clone());
        if last.as_ref() != Some(&report) {
            self.place.log.line(&text).await;
        }
    }
}

impl Host for AgentHost {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        Box::pin(async move {
            match call {
                HostCall::Log(line) => self.place.log.line(&line.text()).await,
                HostCall::Progress(report) => self.progress(report).await,
                HostCall::Params(call) => return self.params(call).await,
                HostCall::Files(call) => return self.files.call(call).await,
                HostCall::Http(request) => return self.http.send(request).await.map(HostAnswer::Http),
                HostCall::Exec(command) => return native::exec(command).await.map(HostAnswer::Exec),
                HostCall::Clock => return Ok(native::now()),
                HostCall::Random(call) => return native::random(call),
                HostCall::Kv(_) => return elsewhere("the store of a pack"),
                HostCall::Secrets(_) => return elsewhere("a secret"),
                other => return Err(HostError::Unavailable(format!("this agent is too old for {other:?}"))),
            }
            Ok(HostAnswer::Done)
        })
    }
}

/// The answer for what stays on the endpoint.
fn elsewhere(what: &str) -> Result<HostAnswer, HostError> {
    Err(HostError::Unavailable(format!("{what} is on the endpoint, which lends it to no agent")))
}

#[cfg(test)]
mod tests;

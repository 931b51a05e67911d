//! What the endpoint does for a task that it runs itself.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::params;
use formwork_model::{Job, Machine, ObjectsExt};
use formwork_sandbox::{HostError, HostFuture, Level, TaskHost};

use crate::{commands::objects::set_param, endpoint::Endpoint};

/// The side of the host in one call.
pub(super) struct HostSide {
    endpoint: Arc<Endpoint>,
    principal: String,
    machine: String,
    job: String,
}

impl HostSide {
    pub(super) fn new(endpoint: Arc<Endpoint>, principal: &str, job: &Job) -> Self {
        Self {
            endpoint,
            principal: principal.to_owned(),
            machine: job.machine.clone(),
            job: job.uuid.clone(),
        }
    }
}

impl TaskHost for HostSide {
    fn log<'a>(&'a self, level: Level, message: &'a str) -> HostFuture<'a, ()> {
        Box::pin(async move {
            let mark = match level {
                Level::Debug => "debug: ",
                Level::Info => "",
                Level::Warn => "warning: ",
                Level::Error => "error: ",
            };
            let line = format!("{mark}{message}\n");
            if let Err(error) = self.endpoint.logs.append(&self.job, line.as_bytes()).await {
                tracing::warn!(job = self.job, %error, "a line of a job log is lost");
            }
        })
    }

    fn param<'a>(&'a self, name: &'a str) -> HostFuture<'a, Result<Option<String>, HostError>> {
        Box::pin(async move {
            let snapshot = self.endpoint.snapshot();
            let machine = snapshot.get::<Machine>(&self.machine);
            let machine = machine.ok_or_else(|| HostError::Other(String::from("the machine is gone")))?;
            Ok(params::resolve(&snapshot, machine.as_ref(), name).map(|value| value.to_string()))
        })
    }

    fn set_param<'a>(&'a self, name: &'a str, json: &'a str) -> HostFuture<'a, Result<(), HostError>> {
        Box::pin(async move {
            let value = serde_json::from_str(json)
                .map_err(|error| HostError::Invalid(format!("the value of `{name}` is not JSON: {error}")))?;
            set_param(&self.endpoint, &self.principal, "machines", &self.machine, name, value)
                .await
                .map_err(|error| host_error(&error))
        })
    }
}

fn host_error(error: &ApiError) -> HostError {
    let words = error.messages.join("; ");
    match error.code {
        400 | 422 => HostError::Invalid(words),
        500.. => HostError::Unavailable(words),
        _ => HostError::Other(words),
    }
}

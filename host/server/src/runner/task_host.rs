//! What the endpoint does for a task that it runs itself.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use formwork_api::ApiError;
use formwork_core::{params, plugins::is_secure};
use formwork_model::{Job, Kind, Machine, Objects, Param};
use formwork_sandbox::{
    Host, HostAnswer, HostCall, HostError, HostFuture, ParamsCall, ProgressReport, native,
};
use serde_json::Value;

use crate::{commands::objects::set_param, commit::commit, endpoint::Endpoint, plugins::kv};

/// The side of the host in one call.
pub(super) struct HostSide {
    endpoint: Arc<Endpoint>,
    principal: String,
    machine: String,
    job: String,
    pack: String,
    /// The last report of progress: the same one twice is written once.
    progress: Mutex<Option<ProgressReport>>,
}

impl HostSide {
    /// The host for a component that is named `PACK/COMPONENT`.
    pub(super) fn new(endpoint: Arc<Endpoint>, principal: &str, job: &Job, component: &str) -> Self {
        Self {
            endpoint,
            principal: principal.to_owned(),
            machine: job.machine.clone(),
            job: job.uuid.clone(),
            pack: component.split('/').next().unwrap_or_default().to_owned(),
            progress: Mutex::default(),
        }
    }

    async fn line(&self, text: &str) {
        let line = format!("{text}\n");
        if let Err(error) = self.endpoint.append_log(&self.job, line.as_bytes()).await {
            tracing::warn!(job = self.job, %error, "a line of a job log is lost");
        }
    }

    async fn progress(&self, report: ProgressReport) {
        let text = report.text();
        let last = self.progress.lock().unwrap_or_else(PoisonError::into_inner).replace(report.clone());
        if last.as_ref() != Some(&report) {
            self.line(&text).await;
        }
    }

    async fn params(&self, call: ParamsCall) -> Result<HostAnswer, HostError> {
        match call {
            ParamsCall::Read { name } => {
                // A secure param is read as a secret, which needs a grant of its own.
                let value = self.resolve(&name)?.filter(|_| !is_secure(&self.endpoint.snapshot(), &name));
                Ok(HostAnswer::Text(value.map(|value| value.to_string())))
            }
            ParamsCall::Write { name, json } => {
                let value = serde_json::from_str(&json).map_err(|error| {
                    HostError::Invalid(format!("the value of `{name}` is not JSON: {error}"))
                })?;
                let (kind, _) = self.subject()?;
                set_param(&self.endpoint, &self.principal, kind.prefix, &self.machine, &name, value)
                    .await
                    .map_err(|error| host_error(&error))?;
                Ok(HostAnswer::Done)
            }
            ParamsCall::Remove { name } => self.remove(name).await,
            ParamsCall::List { prefix } => self.names(&prefix),
            _ => Err(HostError::Unavailable(String::from("the endpoint does not do this with parameters"))),
        }
    }

    fn machine(&self) -> Result<Arc<Machine>, HostError> {
        self.subject().map(|(_, machine)| machine)
    }

    fn subject(&self) -> Result<(&'static Kind, Arc<Machine>), HostError> {
        let found = Machine::with_uuid(&self.endpoint.snapshot(), &self.machine);
        found.ok_or_else(|| HostError::Other(String::from("the machine is gone")))
    }

    /// The value of a parameter as the machine sees it.
    fn resolve(&self, name: &str) -> Result<Option<Value>, HostError> {
        let machine = self.machine()?;
        Ok(params::resolve(&self.endpoint.snapshot(), machine.as_ref(), name))
    }

    /// The names of the parameters that have a value that the machine sees.
    fn names(&self, prefix: &str) -> Result<HostAnswer, HostError> {
        let machine = self.machine()?;
        let snapshot = self.endpoint.snapshot();
        let levels = params::levels(&snapshot, machine.as_ref());
        let mut names: BTreeSet<String> =
            levels.iter().flat_map(|level| level.values().keys().cloned()).collect();
        snapshot.visit("params", &mut |object| {
            let param = object.as_any().downcast_ref::<Param>();
            names.extend(
                param.filter(|param| param.default_value().is_some()).map(|param| param.name.clone()),
            );
            true
        });
        names.retain(|name| name.starts_with(prefix));
        Ok(HostAnswer::Names(names.into_iter().collect()))
    }

    /// Removes the machine's own value of a parameter.
    async fn remove(&self, name: String) -> Result<HostAnswer, HostError> {
        if !self.machine()?.params.contains_key(&name) {
            return Ok(HostAnswer::Done);
        }
        let key = self.machine.clone();
        let removed = commit(&self.endpoint, &self.principal, move |work| {
            let machine = Machine::find(&*work.tx, &key);
            let mut machine = machine.ok_or_else(|| ApiError::not_found("DELETE", "machines", &key))?.boxed();
            if let Some(params) = machine.params_mut() {
                params.remove(&name);
            }
            work.put(machine).map(|_| ())
        });
        removed.await.map_err(|error| host_error(&error))?;
        Ok(HostAnswer::Done)
    }

    /// A secret's text.
    fn secret(&self, name: &str) -> Result<HostAnswer, HostError> {
        let (machine, snapshot) = (self.machine()?, self.endpoint.snapshot());
        let value = self.endpoint.vault.resolve(&snapshot, machine.as_ref(), name);
        Ok(HostAnswer::Text(value.map(|value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        })))
    }

    /// The files of this host; `isos` and `files` are those of the file root.
    fn files(&self) -> native::Files {
        let root = &self.endpoint.options.file_root;
        native::Files::new().root("isos", root.join("isos")).root("files", root.join("files"))
    }
}

impl Host for HostSide {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        Box::pin(async move {
            if let Some(outside) = self.endpoint.outside(&call) {
                return outside.call(call).await;
            }
            match call {
                HostCall::Log(line) => self.line(&line.text()).await,
                HostCall::Progress(report) => self.progress(report).await,
                HostCall::Params(call) => return self.params(call).await,
                HostCall::Secrets(call) => return self.secret(&call.name),
                HostCall::Kv(call) => {
                    return kv::call(&self.endpoint, &self.principal, &self.pack, call).await;
                }
                HostCall::Files(call) => return self.files().call(call).await,
                HostCall::Http(request) => {
                    return self.endpoint.plugins.http.send(request).await.map(HostAnswer::Http);
                }
                HostCall::Random(call) => return native::random(call),
                HostCall::Exec(command) => {
                    let words = format!(
                        "the endpoint itself never runs programs, so not `{}` either",
                        command.program
                    );
                    return Err(HostError::Unavailable(words));
                }
                HostCall::Clock => {
                    let now = u64::try_from(self.endpoint.now().millis()).unwrap_or(0);
                    return Ok(HostAnswer::Time(now));
                }
                _ => {
                    return Err(HostError::Unavailable(String::from(
                        "the endpoint does not lend this to tasks",
                    )));
                }
            }
            Ok(HostAnswer::Done)
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

#[cfg(test)]
mod tests {
    use formwork_model::ObjectsExt as _;
    use formwork_sandbox::SecretsCall;
    use serde_json::json;

    use super::*;
    use crate::testing::{Site, Wishes};

    async fn put(site: &Site, object: impl formwork_model::Object + Clone) {
        let put = commit(&site.endpoint, "user:anna", move |work| work.put(object.boxed()).map(drop));
        put.await.unwrap();
    }

    /// The host of a job of the machine `m1`, which has one param of its own and one that is secure.
    async fn side(site: &Site) -> HostSide {
        put(site, Param { name: "bmc/password".into(), secure: true, ..Param::default() }).await;
        let schema = json!({"type": "string", "default": "left"});
        put(site, Param { name: "bmc/side".into(), schema, ..Param::default() }).await;
        let params =
            [("bmc/user".to_owned(), json!("root")), ("bmc/password".to_owned(), json!("pw"))].into();
        let machine = Machine {
            uuid: "m1".into(),
            name: "m1".into(),
            arch: "amd64".into(),
            params,
            ..Machine::default()
        };
        put(site, machine).await;
        let job = Job { uuid: "j1".into(), machine: "m1".into(), ..Job::default() };
        HostSide::new(Arc::clone(&site.endpoint), "user:anna", &job, "p/c")
    }

    async fn read(side: &HostSide, name: &str) -> Option<String> {
        let call = HostCall::Params(ParamsCall::Read { name: name.into() });
        let Ok(HostAnswer::Text(value)) = side.call(call).await else { panic!("no text") };
        value
    }

    #[tokio::test]
    async fn secure_param_is_told_as_a_secret_and_never_as_a_param() {
        let site = Site::new(Wishes::default());
        let side = side(&site).await;
        assert_eq!(read(&side, "bmc/password").await, None);
        let secret = side.call(HostCall::Secrets(SecretsCall { name: "bmc/password".into() })).await;
        assert_eq!(secret, Ok(HostAnswer::Text(Some("pw".into()))));
    }

    #[tokio::test]
    async fn param_is_read_as_the_machine_sees_it_and_written_to_the_machine() {
        let site = Site::new(Wishes::default());
        let side = side(&site).await;
        assert_eq!(read(&side, "bmc/side").await.as_deref(), Some("\"left\""));
        let write = ParamsCall::Write { name: "bmc/side".into(), json: "\"right\"".into() };
        assert_eq!(side.call(HostCall::Params(write)).await, Ok(HostAnswer::Done));
        let own = |site: &Site| site.endpoint.snapshot().get::<Machine>("m1").unwrap().params.get("bmc/side");
        assert_eq!(own(&site), Some(json!("right")));
        let names = side.call(HostCall::Params(ParamsCall::List { prefix: "bmc/".into() })).await;
        let all = ["bmc/password", "bmc/side", "bmc/user"].map(str::to_owned).to_vec();
        assert_eq!(names, Ok(HostAnswer::Names(all)));
        for _ in 0..2 {
            let remove = ParamsCall::Remove { name: "bmc/side".into() };
            assert_eq!(side.call(HostCall::Params(remove)).await, Ok(HostAnswer::Done));
        }
        assert_eq!((own(&site), read(&side, "bmc/side").await.as_deref()), (None, Some("\"left\"")));
    }

    #[tokio::test]
    async fn value_that_is_no_json_and_a_machine_that_is_gone_are_told() {
        let site = Site::new(Wishes::default());
        let mut side = side(&site).await;
        let write = ParamsCall::Write { name: "bmc/side".into(), json: "{".into() };
        let error = side.call(HostCall::Params(write)).await.unwrap_err();
        assert!(
            matches!(&error, HostError::Invalid(words) if words.contains("`bmc/side` is not JSON")),
            "{error}"
        );
        side.machine = "m2".into();
        let read = HostCall::Params(ParamsCall::Read { name: "bmc/side".into() });
        assert_eq!(side.call(read).await, Err(HostError::Other("the machine is gone".into())));
    }

    #[tokio::test]
    async fn programs_are_never_run() {
        let site = Site::new(Wishes::default());
        let side = side(&site).await;
        let command = serde_json::from_value(json!({"program": "id", "args": [], "timeout-ms": 1})).unwrap();
        let error = side.call(HostCall::Exec(command)).await.unwrap_err();
        assert!(matches!(&error, HostError::Unavailable(words) if words.contains("`id`")), "{error}");
    }
}

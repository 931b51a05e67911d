//! What a plugin's component may ask of the endpoint in one call, once the sandbox has checked its grants.

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_core::{
    params::{self, Found},
    plugins as rules,
};
use formwork_model::{Objects, ObjectsExt, Plugin, PluginProvider, Profile, Record, Values};
use formwork_sandbox::{
    Host, HostAnswer, HostCall, HostError, HostFuture, Level, LogLine, ParamsCall, native,
};
use formwork_store::Snapshot;
use serde_json::Value;

use super::{kv, lines::Line};
use crate::{commit::commit, endpoint::Endpoint};

/// The profile that holds for everything.
const GLOBAL: &str = "global";

/// The side of the host in one call.
pub(super) struct PluginHost {
    endpoint: Arc<Endpoint>,
    plugin: String,
    pack: String,
    /// Who writes.
    principal: String,
    /// The object that the call is about.
    subject: Option<(&'static str, String)>,
    /// The params of the request, which go before all others.
    request: Values,
    /// The job whose log gets the lines, too.
    job: Option<String>,
}

impl PluginHost {
    /// Makes the side of the host for a plugin.
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        plugin: &Plugin,
        provider: &PluginProvider,
        principal: String,
    ) -> Self {
        let pack = provider.component.split('/').next().unwrap_or_default().to_owned();
        let plugin = plugin.name.clone();
        Self { endpoint, plugin, pack, principal, subject: None, request: Values::new(), job: None }
    }

    /// Sets the object that the call is about.
    pub(super) fn about(mut self, subject: Option<(&'static str, String)>) -> Self {
        self.subject = subject;
        self
    }

    /// Sets what the one who asks for an action says.
    pub(super) fn asked(mut self, request: &Values, job: Option<String>) -> Self {
        self.request = request.clone();
        self.job = job;
        self
    }

    async fn answer(&self, call: HostCall) -> Result<HostAnswer, HostError> {
        if let Some(outside) = self.endpoint.outside(&call) {
            return outside.call(call).await;
        }
        match call {
            HostCall::Log(line) => {
                self.log(line).await;
                Ok(HostAnswer::Done)
            }
            HostCall::Progress(report) => {
                self.log(LogLine { level: Level::Info, message: report.text() }).await;
                Ok(HostAnswer::Done)
            }
            HostCall::Params(call) => self.params(call).await,
            HostCall::Secrets(call) => Ok(HostAnswer::Text(self.secret(&call.name))),
            HostCall::Kv(call) => kv::call(&self.endpoint, &self.principal, &self.pack, call).await,
            HostCall::Http(request) => self.endpoint.plugins.http.send(request).await.map(HostAnswer::Http),
            HostCall::Files(call) => {
                let root = &self.endpoint.options.file_root;
                let files =
                    native::Files::new().root("isos", root.join("isos")).root("files", root.join("files"));
                files.call(call).await
            }
            HostCall::Clock => Ok(HostAnswer::Time(u64::try_from(self.endpoint.now().millis()).unwrap_or(0))),
            HostCall::Random(call) => native::random(call),
            _ => Err(HostError::Unavailable(String::from("the endpoint does not lend this to plugins"))),
        }
    }

    async fn log(&self, line: LogLine) {
        if let Some(job) = &self.job
            && let Err(error) = self.endpoint.append_log(job, format!("{}\n", line.text()).as_bytes()).await
        {
            tracing::warn!(job, %error, "a line of a job log is lost");
        }
        let level = match line.level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let line = Line { time: self.endpoint.now(), level, message: line.message };
        self.endpoint.plugins.lines.push(&self.plugin, line);
    }

    /// Returns the value of a param: that of the request, else of the object and what applies to it, else of the plugin.
    fn value(&self, snapshot: &Snapshot, name: &str) -> Option<Value> {
        if let Some(value) = self.request.get(name) {
            return Some(value.clone());
        }
        let plugin = snapshot.get::<Plugin>(&self.plugin)?;
        let subject = self.subject.as_ref().and_then(|(prefix, key)| snapshot.find(prefix, key));
        let found = rules::find(snapshot, subject.as_deref(), &plugin, name)?;
        self.endpoint.vault.used_or_none(snapshot, name, found)
    }

    async fn params(&self, call: ParamsCall) -> Result<HostAnswer, HostError> {
        let snapshot = self.endpoint.snapshot();
        match call {
            // A secure param is read as a secret, which needs a grant of its own.
            ParamsCall::Read { name } => {
                let value = self.value(&snapshot, &name).filter(|_| !rules::is_secure(&snapshot, &name));
                Ok(HostAnswer::Text(value.map(|value| value.to_string())))
            }
            ParamsCall::Write { name, json } => {
                let value = serde_json::from_str(&json).map_err(|error| {
                    HostError::Invalid(format!("the value of `{name}` is not JSON: {error}"))
                })?;
                self.change(&name, Some(value)).await
            }
            ParamsCall::Remove { name } => self.change(&name, None).await,
            ParamsCall::List { prefix } => Ok(HostAnswer::Names(self.names(&snapshot, &prefix))),
            _ => Err(HostError::Unavailable(String::from("the endpoint does not know this call"))),
        }
    }

    async fn change(&self, name: &str, value: Option<Value>) -> Result<HostAnswer, HostError> {
        let Some((prefix, key)) = &self.subject else {
            return Err(HostError::Unavailable(String::from("the call is about no object")));
        };
        let (prefix, key, name) = (*prefix, key.clone(), name.to_owned());
        let vault = Arc::clone(&self.endpoint.vault);
        let changed = commit(&self.endpoint, &self.principal, move |work| {
            let object =
                work.tx.find(prefix, &key).ok_or_else(|| ApiError::not_found("POST", prefix, &key))?;
            let refused = |words: &str| ApiError::new(422, "POST", format!("`{prefix}/{key}` {words}"));
            if object.header().read_only {
                return Err(refused("is read only").into());
            }
            let values = object.params().ok_or_else(|| refused("has no params"))?;
            // What is so already is no change: nobody is told of it.
            let own = values.get(&name).map(|own| {
                let found = Found { owner: Some((prefix, key.clone())), value: own.clone() };
                vault.used_or_none(&*work.tx, &name, found).unwrap_or(own)
            });
            if own == value {
                return Ok(());
            }
            let mut object = object.boxed();
            if let Some(params) = object.params_mut() {
                match &value {
                    Some(value) => params.insert(name.clone(), value.clone()),
                    None => params.remove(&name),
                };
            }
            work.put(object).map(|_| ())
        });
        changed.await.map_err(|error| host_error(&error))?;
        Ok(HostAnswer::Done)
    }

    /// Returns the names of the params that the object or the plugin has a value for and that begin with a prefix.
    fn names(&self, snapshot: &Snapshot, prefix: &str) -> Vec<String> {
        let subject = self.subject.as_ref().and_then(|(prefix, key)| snapshot.find(prefix, key));
        let mut found =
            subject.map(|object| params::aggregate(snapshot, object.as_ref())).unwrap_or_default();
        if let Some(plugin) = snapshot.get::<Plugin>(&self.plugin) {
            found.extend(&plugin.params);
        }
        found.extend(self.request.clone());
        let mut names: Vec<String> = found.into_keys().filter(|name| name.starts_with(prefix)).collect();
        names.retain(|name| !rules::is_secure(snapshot, name));
        names
    }

    /// Returns a secret as text: that of the request, of the object and what applies to it, of the plugin, or of the global
    /// profile.
    fn secret(&self, name: &str) -> Option<String> {
        let snapshot = self.endpoint.snapshot();
        let value = self.value(&snapshot, name).or_else(|| {
            let value = snapshot.get::<Profile>(GLOBAL)?.params.get(name)?;
            let owner = Some((Profile::KIND.prefix, GLOBAL.to_owned()));
            self.endpoint.vault.used_or_none(&snapshot, name, Found { owner, value })
        })?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

impl Host for PluginHost {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        Box::pin(self.answer(call))
    }
}

/// Puts an error of the API into one for a component.
pub(super) fn host_error(error: &ApiError) -> HostError {
    let words = error.messages.join("; ");
    match error.code {
        400 | 422 => HostError::Invalid(words),
        500.. => HostError::Unavailable(words),
        _ => HostError::Other(words),
    }
}

//! The host of a call by hand: parameters and secrets from the command line, everything else for real.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use formwork_sandbox::{Host, HostAnswer, HostCall, HostError, HostFuture, ParamsCall, native};

use crate::failure::UsageError;

/// The name under which the store of a call by hand is kept, as long as the call.
const PACK: &str = "desk";

/// Answers a component that is called from a command line.
pub(super) struct Desk {
    params: Mutex<BTreeMap<String, String>>,
    secrets: BTreeMap<String, String>,
    files: native::Files,
    http: native::Http,
    kv: native::Kv,
}

impl Desk {
    /// Takes `NAME=VALUE` pairs; `folder` is for what the call keeps while it lasts.
    pub(super) fn new(params: &[String], secrets: &[String], folder: &Path) -> Result<Arc<Self>> {
        let params = pairs(params)?.map(|(name, value)| (name, as_json(&value))).collect();
        Ok(Arc::new(Self {
            params: Mutex::new(params),
            secrets: pairs(secrets)?.collect(),
            files: native::Files::new(),
            http: native::Http::new(),
            kv: native::Kv::new(folder.join("kv")),
        }))
    }

    fn params(&self, call: ParamsCall) -> Result<HostAnswer, HostError> {
        let mut params = self.params.lock().unwrap_or_else(PoisonError::into_inner);
        match call {
            ParamsCall::Read { name } => Ok(HostAnswer::Text(params.get(&name).cloned())),
            ParamsCall::Write { name, json } => {
                say(&format!("param {name} = {json}"));
                params.insert(name, json);
                Ok(HostAnswer::Done)
            }
            ParamsCall::Remove { name } => {
                say(&format!("param {name} is removed"));
                params.remove(&name);
                Ok(HostAnswer::Done)
            }
            ParamsCall::List { prefix } => Ok(HostAnswer::Names(
                params.keys().filter(|name| name.starts_with(&prefix)).cloned().collect(),
            )),
            other => Err(unknown(&other)),
        }
    }
}

impl Host for Desk {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        Box::pin(async move {
            match call {
                HostCall::Log(line) => say(&line.text()),
                HostCall::Progress(report) => say(&report.text()),
                HostCall::Params(call) => return self.params(call),
                HostCall::Secrets(call) => {
                    return Ok(HostAnswer::Text(self.secrets.get(&call.name).cloned()));
                }
                HostCall::Kv(call) => return self.kv.call(PACK, call).await,
                HostCall::Files(call) => return self.files.call(call).await,
                HostCall::Http(request) => return self.http.send(request).await.map(HostAnswer::Http),
                HostCall::Exec(command) => return native::exec(command).await.map(HostAnswer::Exec),
                HostCall::Clock => return Ok(native::now()),
                HostCall::Random(call) => return native::random(call),
                other => return Err(unknown(&other)),
            }
            Ok(HostAnswer::Done)
        })
    }
}

fn unknown(call: &impl std::fmt::Debug) -> HostError {
    HostError::Unavailable(format!("a call by hand has no answer to {call:?}"))
}

fn pairs(arguments: &[String]) -> Result<impl Iterator<Item = (String, String)>> {
    let pair = |argument: &String| {
        let (name, value) = argument.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let wrong = |argument: &String| UsageError(format!("`{argument}` is not NAME=VALUE"));
    let pairs: Result<Vec<_>, UsageError> =
        arguments.iter().map(|argument| pair(argument).ok_or_else(|| wrong(argument))).collect();
    Ok(pairs?.into_iter())
}

/// A value that is no JSON is a plain word.
fn as_json(value: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(value) {
        Ok(_) => value.to_owned(),
        Err(_) => serde_json::Value::from(value).to_string(),
    }
}

fn say(words: &str) {
    // Nobody is left to tell when standard error is closed.
    io::stderr().write_all(format!("{words}\n").as_bytes()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_and_json_are_values() {
        assert_eq!(as_json("7"), "7");
        assert_eq!(as_json("{\"a\": 1}"), "{\"a\": 1}");
        assert_eq!(as_json("word"), "\"word\"");
        assert!(pairs(&[String::from("x")]).is_err());
    }
}

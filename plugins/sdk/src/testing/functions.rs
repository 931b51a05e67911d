//! The functions of the capabilities as a native test has them: the same arguments, answers and errors as the host's.

use super::state::{self, State};
use crate::bindings::capabilities::formwork as wit;

/// Longest name of a parameter, a secret or a key.
const MAX_NAME_BYTES: usize = 512;

/// Most names of one answer.
const MAX_NAMES: usize = 4096;

/// Checks a name; returns the words against it.
fn check_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("the name has more than {MAX_NAME_BYTES} bytes"));
    }
    Ok(())
}

/// Checks a value; returns the words against it.
fn check_json(json: &str, most: usize) -> Result<(), String> {
    if json.len() > most {
        return Err(format!("the value has more than {most} bytes"));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(json)
        .map(drop)
        .map_err(|error| format!("the value is not JSON: {error}"))
}

pub(crate) mod clock {
    use super::state;

    pub(crate) fn now_ms() -> u64 {
        state::call(|host| {
            // A clock that is set back within a call stands still instead.
            host.call.last_time = host.call.last_time.max(host.now_ms);
            host.call.last_time
        })
    }
}

pub(crate) mod exec {
    use super::{State, state};
    use crate::HostError;
    use crate::exec::{Command, Output};

    pub(crate) use super::wit::exec::exec::Error;

    /// Most arguments of a program.
    const MAX_ARGS: usize = 256;

    /// Most bytes of arguments, environment and input together.
    const MAX_INPUT_BYTES: usize = 128 << 10;

    /// Longest time that a program may take.
    const MAX_TIMEOUT_MS: u32 = 600_000;

    /// Most bytes that are kept of what a program writes.
    const MAX_STDOUT_BYTES: usize = 512 << 10;

    /// Most bytes that are kept of its complaints.
    const MAX_STDERR_BYTES: usize = 64 << 10;

    pub(crate) fn run(command: &Command) -> Result<Output, Error> {
        let (command, programs) = state::call(|host| admit(host, command))?;
        let known = state::current().and_then(|host| host.borrow().outputs.get(&command.program).cloned());
        let answer = match (known, programs) {
            (Some(output), _) => Ok(output),
            (None, Some(programs)) => (programs.0.borrow_mut())(&command),
            (None, None) => Err(HostError::Unavailable(format!(
                "there is no program `{}` on this machine",
                command.program
            ))),
        };
        answer.map(cut).map_err(|error| match error {
            HostError::NotGranted(what) => Error::NotGranted(what),
            HostError::Invalid(words) => Error::Invalid(words),
            HostError::Unavailable(words) => Error::Unavailable(words),
            HostError::Other(words) => Error::Other(words),
        })
    }

    type Programs = super::state::Shared<super::state::Programs>;

    fn admit(host: &mut State, command: &Command) -> Result<(Command, Option<Programs>), Error> {
        if host.grants.as_ref().is_some_and(|grants| !grants.may_run(&command.program)) {
            return Err(Error::NotGranted(command.program.clone()));
        }
        check(command).map_err(|words| Error::Invalid(words.to_owned()))?;
        let command = Command { timeout_ms: command.timeout_ms.min(MAX_TIMEOUT_MS), ..command.clone() };
        host.commands.push(command.clone());
        Ok((command, host.programs.clone()))
    }

    fn check(command: &Command) -> Result<(), &'static str> {
        if command.args.len() + command.env.len() > MAX_ARGS {
            return Err("there are too many arguments and variables");
        }
        let env = command.env.iter().flat_map(|(name, value)| [name, value]);
        let bytes =
            command.args.iter().chain(env.clone()).map(String::len).sum::<usize>() + command.stdin.len();
        if bytes > MAX_INPUT_BYTES {
            return Err("arguments, environment and input are too long");
        }
        if command.args.iter().chain(env).any(|text| text.contains('\0')) {
            return Err("an argument or a variable has a NUL in it");
        }
        if command.env.iter().any(|(name, _)| name.is_empty() || name.contains('=')) {
            return Err("the name of a variable is empty or has an `=` in it");
        }
        Ok(())
    }

    /// Keeps as much of what a program wrote as the host does.
    fn cut(mut output: Output) -> Output {
        output.truncated |= output.stdout.len() > MAX_STDOUT_BYTES || output.stderr.len() > MAX_STDERR_BYTES;
        output.stdout.truncate(MAX_STDOUT_BYTES);
        output.stderr.truncate(MAX_STDERR_BYTES);
        output
    }
}

pub(crate) mod files {
    use super::state;
    use super::wit::files::files::{Entry, Error};

    pub(crate) fn read(path: &str, offset_bytes: u64, max_bytes: u32) -> Result<Vec<u8>, Error> {
        state::call(|host| host.files.read(host.grants.as_ref(), path, offset_bytes, max_bytes))
    }

    pub(crate) fn list_folder(path: &str) -> Result<Vec<Entry>, Error> {
        state::call(|host| host.files.list(host.grants.as_ref(), path))
    }

    pub(crate) fn read_link(path: &str) -> Result<String, Error> {
        state::call(|host| host.files.read_link(host.grants.as_ref(), path))
    }

    pub(crate) fn write(path: &str, bytes: &[u8]) -> Result<(), Error> {
        state::call(|host| host.files.write(host.grants.as_ref(), path, bytes))
    }
}

pub(crate) mod http {
    use super::super::http::{check, refused, take};
    use super::state;
    use super::wit::http::http::{Error, Header, Request, Response};

    pub(crate) fn send(request: &Request) -> Result<Response, Error> {
        let (request, known, web) = state::call(|host| {
            let request = check(host.grants.as_ref(), request)?;
            host.requests.push(request.clone());
            let fits = |method, url: &str| method == request.method && url == request.url;
            let known = host.routes.iter().rev().find(|(method, url, _)| fits(*method, url));
            let known = known.map(|(_, _, reply)| reply.clone());
            Ok((request, known, host.web.clone()))
        })?;
        let reply = match (known, web) {
            (Some(reply), _) => reply,
            (None, Some(web)) => (web.0.borrow_mut())(&request).map_err(refused)?,
            (None, None) => {
                return Err(Error::Unavailable(format!("`{}` did not answer: no test does", request.url)));
            }
        };
        let response = take(&request.url, reply.0)?;
        let header = |(name, value)| Header { name, value };
        Ok(Response {
            status: response.status,
            headers: response.headers.into_iter().map(header).collect(),
            body: response.body,
        })
    }
}

pub(crate) mod kv {
    use super::super::grants::Access;
    use super::{MAX_NAMES, State, check_json, check_name, state};

    pub(crate) use super::wit::kv::kv::Error;

    /// Most bytes of a value.
    const MAX_VALUE_BYTES: usize = 256 << 10;

    /// Most keys of a pack.
    const MAX_KEYS: usize = 10_000;

    /// Most bytes of a pack's keys and values together.
    const MAX_BYTES: usize = 16 << 20;

    pub(crate) fn get(key: &str) -> Result<Option<String>, Error> {
        state::call(|host| {
            admit(host, key, Access::ReadOnly)?;
            check_key(key)?;
            Ok(host.kv.get(key).cloned())
        })
    }

    pub(crate) fn set(key: &str, json: &str) -> Result<(), Error> {
        state::call(|host| {
            admit(host, key, Access::ReadWrite)?;
            check_key(key)?;
            check_json(json, MAX_VALUE_BYTES).map_err(Error::Invalid)?;
            let others = host.kv.iter().filter(|(own, _)| *own != key);
            let (count, bytes) = others
                .fold((0, 0), |(count, bytes), (key, json)| (count + 1, bytes + key.len() + json.len()));
            if count >= MAX_KEYS || bytes + key.len() + json.len() > MAX_BYTES {
                let words = format!("the pack's store is full: {MAX_KEYS} keys, {MAX_BYTES} bytes");
                return Err(Error::Invalid(words));
            }
            host.kv.insert(key.to_owned(), json.to_owned());
            Ok(())
        })
    }

    pub(crate) fn delete(key: &str) -> Result<(), Error> {
        state::call(|host| {
            admit(host, key, Access::ReadWrite)?;
            check_key(key)?;
            host.kv.remove(key);
            Ok(())
        })
    }

    pub(crate) fn list_keys(prefix: &str) -> Result<Vec<String>, Error> {
        state::call(|host| {
            admit(host, prefix, Access::ReadOnly)?;
            check_name(prefix).map_err(Error::Invalid)?;
            let keys = host.kv.keys().filter(|key| key.starts_with(prefix));
            Ok(keys.take(MAX_NAMES).cloned().collect())
        })
    }

    fn admit(host: &State, key: &str, access: Access) -> Result<(), Error> {
        match &host.grants {
            Some(grants) if grants.kv() < Some(access) => Err(Error::NotGranted(key.to_owned())),
            _ => Ok(()),
        }
    }

    fn check_key(key: &str) -> Result<(), Error> {
        if key.is_empty() {
            return Err(Error::Invalid("the key is empty".to_owned()));
        }
        check_name(key).map_err(Error::Invalid)
    }
}

pub(crate) mod log {
    use super::state;
    use super::wit::log::log::Level;

    pub(crate) fn write(level: Level, message: &str) {
        let level = match level {
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error | Level::Panic => log::Level::Error,
        };
        // Code that is tested without a host may log as well; nobody listens then. A `Display` that asks the host
        // something is formatted before this, so nothing else has the state.
        if let Some(host) = state::current() {
            host.borrow_mut().log(level, message);
        }
    }
}

pub(crate) mod params {
    use super::{MAX_NAMES, check_json, check_name, state};

    pub(crate) use super::wit::params::params::Error;

    /// Most bytes of a value.
    const MAX_VALUE_BYTES: usize = 1 << 20;

    pub(crate) fn read(name: &str) -> Result<Option<String>, Error> {
        state::call(|host| {
            if host.grants.as_ref().is_some_and(|grants| !grants.may_read(name)) {
                return Err(Error::NotGranted(name.to_owned()));
            }
            check_name(name).map_err(Error::Invalid)?;
            let value = host.params.get(name).or_else(|| host.inherited.get(name));
            Ok(value.cloned())
        })
    }

    pub(crate) fn write(name: &str, json: &str) -> Result<(), Error> {
        state::call(|host| {
            if host.grants.as_ref().is_some_and(|grants| !grants.may_write(name)) {
                return Err(Error::NotGranted(name.to_owned()));
            }
            check_name(name).map_err(Error::Invalid)?;
            check_json(json, MAX_VALUE_BYTES).map_err(Error::Invalid)?;
            if let Some(words) = host.refused.get(name) {
                return Err(Error::Invalid(words.clone()));
            }
            host.params.insert(name.to_owned(), json.to_owned());
            Ok(())
        })
    }

    pub(crate) fn remove(name: &str) -> Result<(), Error> {
        state::call(|host| {
            if host.grants.as_ref().is_some_and(|grants| !grants.may_write(name)) {
                return Err(Error::NotGranted(name.to_owned()));
            }
            check_name(name).map_err(Error::Invalid)?;
            host.params.remove(name);
            Ok(())
        })
    }

    pub(crate) fn list_names(prefix: &str) -> Result<Vec<String>, Error> {
        state::call(|host| {
            check_name(prefix).map_err(Error::Invalid)?;
            let grants = host.grants.as_ref();
            let seen = |name: &&String| {
                name.starts_with(prefix) && grants.is_none_or(|grants| grants.may_read(name))
            };
            let names: std::collections::BTreeSet<_> =
                host.params.keys().chain(host.inherited.keys()).filter(seen).collect();
            Ok(names.into_iter().take(MAX_NAMES).cloned().collect())
        })
    }
}

pub(crate) mod progress {
    use super::super::Progress;
    use super::state;

    /// Most bytes of the words.
    const MAX_MESSAGE_BYTES: usize = 512;

    pub(crate) fn report(percent: Option<u8>, message: &str) {
        state::call(|host| {
            let end = message.floor_char_boundary(MAX_MESSAGE_BYTES);
            let message = message.get(..end).unwrap_or_default().replace(['\n', '\r'], " ");
            host.progress.push(Progress { percent: percent.map(|percent| percent.min(100)), message });
        });
    }
}

pub(crate) mod random {
    use super::state;

    /// Most bytes of one answer.
    const MAX_BYTES: u32 = 4096;

    pub(crate) fn bytes(count: u32) -> Vec<u8> {
        state::call(|host| (0..count.min(MAX_BYTES)).map(|_| next(&mut host.random)).collect())
    }

    /// The next byte of a generator that a number begins: SplitMix64, as it is small.
    fn next(state: &mut u64) -> u8 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [byte, ..] = (mixed ^ (mixed >> 31)).to_le_bytes();
        byte
    }
}

pub(crate) mod secrets {
    use super::{check_name, state};

    pub(crate) use super::wit::secrets::secrets::Error;

    /// Most bytes of a secret's text.
    const MAX_SECRET_BYTES: usize = 64 << 10;

    pub(crate) fn read(name: &str) -> Result<Option<String>, Error> {
        state::call(|host| {
            if host.grants.as_ref().is_some_and(|grants| !grants.may_know(name)) {
                return Err(Error::NotGranted(name.to_owned()));
            }
            check_name(name).map_err(Error::Other)?;
            match host.secrets.get(name) {
                Some(text) if text.len() > MAX_SECRET_BYTES => {
                    Err(Error::Other(format!("the secret has more than {MAX_SECRET_BYTES} bytes")))
                }
                text => Ok(text.cloned()),
            }
        })
    }
}

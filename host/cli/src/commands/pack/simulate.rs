//! An endpoint for trying a pack, in this process and without a network.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use formwork_model::Timestamp;
use formwork_sandbox::{
    Blob, EntryKind, ExecCommand, ExecOutput, ExecStatus, FileEntry, FilesCall, Host, HostAnswer, HostCall,
    HostError, HostFuture, HttpRequest, HttpResponse, RandomCall,
};
use formwork_server::{Script, Simulation, Surroundings};
use serde::Deserialize;
use tempfile::TempDir;

use crate::commands::compile_worker;

/// A simulation and the folder that it lives in.
pub(super) struct Stage {
    pub(super) simulation: Simulation,
    _scratch: TempDir,
}

/// What a scenario says of the world around.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct World {
    /// What scripts come to, by the task's name.
    scripts: BTreeMap<String, Script>,
    /// The texts of files, by their paths: `/sys/class/...`, or `isos/...` below a named root.
    files: BTreeMap<String, String>,
    /// What web services answer, the first that fits.
    http: Vec<HttpRule>,
    /// What programs do, by their names.
    programs: BTreeMap<String, Program>,
}

/// What a web service answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpRule {
    /// The whole URL.
    url: String,
    /// Any method when it is left out.
    #[serde(default)]
    method: String,
    #[serde(default = "ok")]
    status: u16,
    /// Text, or JSON that is sent as such.
    #[serde(default)]
    body: serde_json::Value,
}

fn ok() -> u16 {
    200
}

/// What a program does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Program {
    exit_code: u8,
    stdout: String,
    stderr: String,
}

impl Stage {
    /// Opens an endpoint that has nothing but the built-in pack.
    pub(super) async fn open(start: Timestamp, world: World) -> Result<Self> {
        let scratch = tempfile::tempdir().context("failed to make a temporary folder")?;
        let simulation = Simulation::fresh(Surroundings {
            scratch: scratch.path().to_owned(),
            worker: compile_worker()?.program,
            start,
            scripts: world.scripts.clone(),
            outside: Arc::new(Outside { world, random: Mutex::new(0) }),
        })
        .await?;
        Ok(Self { simulation, _scratch: scratch })
    }
}

/// Answers what goes out of the endpoint, as the scenario says; all else is not there.
struct Outside {
    world: World,
    /// The next random byte: the same in each run.
    random: Mutex<u8>,
}

impl Host for Outside {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        let answer = match call {
            HostCall::Http(request) => self.http(&request).map(HostAnswer::Http),
            HostCall::Files(call) => self.files(&call),
            HostCall::Exec(command) => self.exec(&command).map(HostAnswer::Exec),
            HostCall::Random(call) => Ok(HostAnswer::Bytes(self.random(call))),
            other => Err(HostError::Unavailable(format!("a scenario has no answer to {other:?}"))),
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Outside {
    fn http(&self, request: &HttpRequest) -> Result<HttpResponse, HostError> {
        let method = format!("{:?}", request.method).to_uppercase();
        let fits = |rule: &&HttpRule| {
            rule.url == request.url && (rule.method.is_empty() || rule.method.eq_ignore_ascii_case(&method))
        };
        let rule = self.world.http.iter().find(fits).ok_or_else(|| {
            HostError::Unavailable(format!("the scenario has no answer to {method} {}", request.url))
        })?;
        let body = match &rule.body {
            serde_json::Value::Null => Vec::new(),
            serde_json::Value::String(text) => text.clone().into_bytes(),
            value => value.to_string().into_bytes(),
        };
        Ok(HttpResponse { status: rule.status, headers: Vec::new(), body: Blob(body) })
    }

    fn files(&self, call: &FilesCall) -> Result<HostAnswer, HostError> {
        match call {
            FilesCall::Read { root, path, offset, max_bytes } => {
                let path = joined(root, path);
                let text = self.world.files.get(&path).ok_or(HostError::NotFound(path))?;
                let from = usize::try_from(*offset).unwrap_or(usize::MAX).min(text.len());
                let rest = text.as_bytes().get(from..).unwrap_or_default();
                let most = usize::try_from(*max_bytes).unwrap_or(usize::MAX).min(rest.len());
                Ok(HostAnswer::Bytes(Blob(rest.get(..most).unwrap_or_default().to_vec())))
            }
            FilesCall::List { root, path } => self.folder(joined(root, path)).map(HostAnswer::Entries),
            _ => Err(HostError::Unavailable(String::from("files of a scenario can be read, nothing else"))),
        }
    }

    /// Returns the entries of a folder: the next names of all files below it.
    fn folder(&self, path: String) -> Result<Vec<FileEntry>, HostError> {
        let below = format!("{}/", path.trim_end_matches('/'));
        let mut entries = BTreeMap::new();
        for rest in self.world.files.keys().filter_map(|file| file.strip_prefix(&below)) {
            let (name, kind) = match rest.split_once('/') {
                Some((folder, _)) => (folder, EntryKind::Folder),
                None => (rest, EntryKind::File),
            };
            entries.insert(name.to_owned(), kind);
        }
        if entries.is_empty() {
            return Err(HostError::NotFound(path));
        }
        Ok(entries.into_iter().map(|(name, kind)| FileEntry { name, kind }).collect())
    }

    fn exec(&self, command: &ExecCommand) -> Result<ExecOutput, HostError> {
        let program = self.world.programs.get(&command.program).ok_or_else(|| {
            HostError::Unavailable(format!("the scenario has no program `{}`", command.program))
        })?;
        Ok(ExecOutput {
            status: ExecStatus::Exited(program.exit_code),
            stdout: Blob(program.stdout.clone().into_bytes()),
            stderr: Blob(program.stderr.clone().into_bytes()),
            truncated: false,
        })
    }

    fn random(&self, call: RandomCall) -> Blob {
        let mut next = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let mut byte = || {
            *next = next.wrapping_mul(5).wrapping_add(17);
            *next
        };
        Blob((0..call.count).map(|_| byte()).collect())
    }
}

/// Returns the path of a file as a scenario names it: with its root in front.
fn joined(root: &str, path: &str) -> String {
    match path {
        "" => root.to_owned(),
        path => format!("{}/{path}", root.trim_end_matches('/')),
    }
}

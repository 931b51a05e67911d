//! Which of its grants a component uses.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Grants, Host, HostAnswer, HostCall, HostError, HostFuture, ParamsCall, Refusal};

/// Hands the calls of a component on to its host, and notes the grant lines that allow them.
pub struct GrantCounter {
    lines: Vec<(String, Grants)>,
    used: Mutex<BTreeSet<usize>>,
    inner: Arc<dyn Host>,
}

impl GrantCounter {
    /// Puts the counter between a component with these grant lines and its host. What is no grant is never used.
    pub fn new<L: AsRef<str>>(lines: impl IntoIterator<Item = L>, inner: Arc<dyn Host>) -> Self {
        let read = |line: L| {
            let grants = Grants::parse([line.as_ref()]).ok()?;
            Some((line.as_ref().to_owned(), grants))
        };
        Self { lines: lines.into_iter().filter_map(read).collect(), used: Mutex::default(), inner }
    }

    /// Takes the lines that were used since the last time, each once, in the order of the grants.
    pub fn take(&self) -> Vec<String> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        used.into_iter().filter_map(|at| self.lines.get(at)).map(|(line, _)| line.clone()).collect()
    }

    /// Of several lines that allow the same the first counts, so that the others are seen to be needless.
    fn note(&self, call: &HostCall) {
        let adds_up = matches!(call, HostCall::Http(_) | HostCall::Params(ParamsCall::List { .. }));
        let allowing = self.lines.iter().enumerate().filter(|(_, (_, grants))| grants.allow(call));
        let allowing = allowing.map(|(at, _)| at).take(if adds_up { usize::MAX } else { 1 });
        self.used.lock().unwrap_or_else(PoisonError::into_inner).extend(allowing);
    }
}

impl Host for GrantCounter {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        self.note(&call);
        self.inner.call(call)
    }

    fn refused(&self, refusal: Refusal) {
        self.inner.refused(refusal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Blob, ExecCommand, FilesCall, HttpMethod, HttpRequest, KvCall, Level, LogLine, ProgressReport,
        RandomCall, SecretsCall,
    };

    struct Silent;

    impl Host for Silent {
        fn call(&self, _: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
            Box::pin(std::future::ready(Ok(HostAnswer::Done)))
        }
    }

    fn counter(lines: &[&str]) -> GrantCounter {
        GrantCounter::new(lines, Arc::new(Silent))
    }

    fn read(name: &str) -> HostCall {
        HostCall::Params(ParamsCall::Read { name: name.to_owned() })
    }

    fn list(prefix: &str) -> HostCall {
        HostCall::Params(ParamsCall::List { prefix: prefix.to_owned() })
    }

    fn get(url: &str) -> HostCall {
        HostCall::Http(HttpRequest {
            method: HttpMethod::Get,
            url: url.to_owned(),
            headers: Vec::new(),
            body: Blob(Vec::new()),
            timeout_ms: 1,
            any_certificate: false,
            exact_host: false,
        })
    }

    fn run(program: &str) -> HostCall {
        HostCall::Exec(ExecCommand {
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Blob(Vec::new()),
            timeout_ms: 1,
        })
    }

    fn look(root: &str) -> HostCall {
        HostCall::Files(FilesCall::List { root: root.to_owned(), path: String::from("x") })
    }

    fn write(root: &str) -> HostCall {
        let (root, path, bytes) = (root.to_owned(), String::from("x"), Blob(Vec::new()));
        HostCall::Files(FilesCall::Write { root, path, bytes })
    }

    #[tokio::test]
    async fn each_call_uses_the_line_that_allows_it_and_no_other() {
        let key = || String::from("k");
        for (call, line, other) in [
            (read("a/b"), "params: read a/*", "params: write a/*"),
            (
                HostCall::Params(ParamsCall::Remove { name: "a/b".to_owned() }),
                "params: write *",
                "params: read *",
            ),
            (list("a/"), "params: read a/b*", "params: read b"),
            (list("a/b"), "params: read a*", "params: read a/"),
            (HostCall::Kv(KvCall::Get { key: key() }), "kv: rw", "params: read k"),
            (HostCall::Kv(KvCall::List { prefix: key() }), "kv: ro", "secrets: k"),
            (HostCall::Kv(KvCall::Delete { key: key() }), "kv: rw", "kv: ro"),
            (look("/sys"), "files: /sys ro", "files: /proc ro"),
            (write("isos"), "files: isos rw", "files: isos ro"),
            (run("sh"), "exec: sh", "exec: /bin/sh"),
            (get("https://bmc.example/a"), "http: https://*.example/* any-certificate", "http: http://*/*"),
            (HostCall::Secrets(SecretsCall { name: key() }), "secrets: *", "params: read *"),
            (HostCall::Clock, "clock", "random"),
            (HostCall::Random(RandomCall { count: 1 }), "random", "clock"),
            (HostCall::Progress(ProgressReport { percent: None, message: key() }), "progress", "log"),
            (HostCall::Log(LogLine { level: Level::Info, message: key() }), "log", "progress"),
        ] {
            let counter = counter(&[other, line]);
            counter.call(call.clone()).await.unwrap();
            assert_eq!(counter.take(), [line], "{call:?}");
            assert!(counter.take().is_empty());
        }
    }

    #[tokio::test]
    async fn needless_line_is_not_used_but_lines_that_add_up_are() {
        let lines =
            ["params: read a", "nonsense", "params: read *", "http: https://*/*", "http: https://b/*"];
        let counter = counter(&lines);
        counter.call(read("a")).await.unwrap();
        counter.call(read("a")).await.unwrap();
        assert_eq!(counter.take(), [lines[0]]);
        counter.call(list("")).await.unwrap();
        counter.call(get("https://b/x")).await.unwrap();
        assert_eq!(counter.take(), [lines[0], lines[2], lines[3], lines[4]]);
    }
}

//! A task that tries the rules of every capability, and logs what it was answered.
//!
//! It is run twice with the same surroundings: natively by the tests below, with the host of the guest crate, and as a
//! component by those of the sandbox, with the real one. Both compare the answers with those in `answers/`.

use std::fmt::Debug;

use formwork_sdk::http::{Method, Request};
use formwork_sdk::{
    Call, Failure, Outcome, Task, clock, exec, files, http, kv, log, params, progress, random, secrets,
};

struct Parity;

impl Task for Parity {
    fn run(call: &Call) -> Result<Outcome, Failure> {
        let name = &call.machine.name;
        log::trace!("machine {name}, attempt {}, at {}", call.attempt, call.now.0);
        log::debug!("two\nlines");
        log::warn!("{}", "w".repeat(70_000));
        try_params();
        try_http();
        try_kv();
        try_files();
        try_writes();
        try_exec();
        try_rest();
        log::error!("the end");
        Ok(Outcome::Done)
    }
}

formwork_sdk::export_task!(Parity);

fn tell(what: &str, answer: impl Debug) {
    log::info!("{what}: {answer:?}");
}

fn try_params() {
    for name in ["p/own", "p/both", "p/inherited", "p/none", "q/secret", ""] {
        tell(&format!("read {name}"), params::read::<Box<str>>(name).map_err(|error| error.to_string()));
    }
    tell("names p/", params::names("p/"));
    tell("names", params::names(""));
    tell("write p/own", params::write("p/own", &5));
    tell("read it", params::read::<u8>("p/own"));
    tell("write p/refused", params::write("p/refused", "word"));
    tell("write q/written", params::write("q/written", &[1, 2]));
    tell("read q/written", params::read::<Vec<u8>>("q/written"));
    tell("write q/other", params::write("q/other", &1));
    tell("remove p/both", params::remove("p/both"));
    tell("read it", params::read::<String>("p/both"));
    tell("remove p/none", params::remove("p/none"));
    tell("remove q/secret", params::remove("q/secret"));
    let long = "long".repeat(129);
    tell("read a long name", params::read::<u8>(&long).map_err(|error| error.to_string().len()));
    tell("names of a long one", params::names(&long).map_err(|error| error.to_string().len()));
    tell("write a long value", params::write("p/long", &"x".repeat(1 << 20)));
}

fn try_http() {
    let urls = [
        "https://a.example/x/one",
        "HTTPS://A.example:443/x/../x/one#part",
        "https://a.example/x/one?q= x",
        "https://a.example/y",
        "https://a.example/x/../y",
        "https://a.example/x/%2e%2e%2fy",
        "https://b.example/x/one",
        "https://a.example:444/x/one",
        "ftp://a.example/x/one",
        "https://me@a.example/x/one",
        "not a url",
        "",
        "http://127.0.0.1:9/",
        "http://127.1:9/x",
        "http://169.254.169.254/latest",
        "http://[::1]:9/",
        "http://[64:ff9b::7f00:1]/",
    ];
    for url in urls {
        tell(&format!("get {url}"), Request::get(url).send());
    }
    tell("a long url", Request::get(format!("https://a.example/x/{}", "x".repeat(9000))).send());
    tell("a redirect", Request::post("https://a.example/x/move").body("b").send());
    tell("no success", Request::new(Method::Delete, "https://a.example/x/gone").send());
    let one = || Request::get("https://a.example/x/one");
    for (name, value) in [
        ("X-Mine", "v"),
        ("Host", "b.example"),
        ("Transfer-Encoding", "chunked"),
        ("x y", "v"),
        ("", "v"),
        ("x", "a\r\nb: c"),
        ("x", "tab\t\u{e4}"),
        ("x", "\u{7f}"),
    ] {
        let answer = one().header(name, value).send();
        tell(&format!("header {name:?} {value:?}"), answer.map(|answer| answer.status));
    }
    let many = (0..101).fold(one(), |request, _| request.header("x", "v"));
    tell("many headers", many.send());
    tell("long headers", one().header("x", "v".repeat(65 << 10)).send());
    tell("a long body", http::Request::post("https://a.example/x/move").body(vec![0; (1 << 20) + 1]).send());
}

fn try_kv() {
    tell("get kept", kv::get::<std::collections::BTreeMap<String, u8>>("kept"));
    tell("get none", kv::get::<u8>("none"));
    tell("get another type", kv::get::<u8>("kept").map_err(|error| error.to_string()));
    tell("set", kv::set("new", &[1]));
    tell("get it", kv::get::<Vec<u8>>("new"));
    tell("keys", kv::keys(""));
    tell("keys kept/", kv::keys("kept/"));
    tell("delete", kv::delete("kept"));
    tell("delete none", kv::delete("none"));
    tell("keys", kv::keys("k"));
    tell("get nothing", kv::get::<u8>(""));
    tell("set nothing", kv::set("", &1));
    let long = "k".repeat(513);
    tell("set long", kv::set(&long, &1).map_err(|error| error.to_string()));
    tell("keys long", kv::keys(&long).map_err(|error| error.to_string()));
    tell("set much", kv::set("much", &"x".repeat(256 << 10)));
    // The share of a pack is 16 MiB.
    let large = "x".repeat((256 << 10) - 2);
    let full =
        (0..70).find_map(|number| kv::set(&format!("n{number}"), &large).err().map(|error| (number, error)));
    tell("full", full);
    tell("set again", kv::set("n0", &large));
}

fn try_files() {
    let paths = [
        "/data/a",
        "/data/b-",
        "/data/to-inner",
        "/data/to-folder",
        "/data/to-folder/inner",
        "/data/folder",
        "/data/folder/up",
        "/data/to-folder/up",
        "/data/out",
        "/data/far",
        "/data/absolute",
        "/data/loop",
        "/data/dangling",
        "/data/none",
        "/data/none/x",
        "/data/a/x",
        "/data/empty",
        "/data/closed/c",
        "/data",
        "/data/",
        "/data//a",
        "/data/./a",
        "/data/../outside/o",
        "/database",
        "/outside/o",
        "/single/file",
        "/single/file/x",
        "/single/other",
        "/single/new",
        "/nowhere/x",
        "/nowhere",
        "named/none",
        "named",
        "other/x",
        "",
        "/",
        "/data/\0",
    ];
    for path in paths {
        tell(&format!("read {path}"), files::read(path, 100).map(text));
        tell(
            "  list",
            files::list(path)
                .map(|entries| entries.into_iter().map(|e| (e.name, e.kind)).collect::<Vec<_>>()),
        );
        tell("  link", files::read_link(path));
    }
    tell("from 1", files::read_at("/data/a", 1, 2).map(text));
    tell("from 4", files::read_at("/data/a", 4, 2).map(text));
    tell("from far", files::read_at("/data/a", 1 << 40, 2).map(text));
    tell("no bytes", files::read("/data/a", 0).map(text));
    tell("all bytes", files::read("/data/a", u32::MAX).map(text));
    tell("a long path", files::read(&format!("/data/{}", "x".repeat(5000)), 1));
}

fn try_writes() {
    let paths = [
        "/data/a",
        "/data/new/deep/file",
        "/data/to-folder/new",
        "/data/folder",
        "/data/to-inner",
        "/data/dangling",
        "/data/a/x",
        "/data/a/x/y",
        "/data/out/x",
        "/data/absolute/x",
        "/data/loop/x",
        "/data/dangling/x",
        "/data/closed/c",
        "/data",
        "/data/../x",
        "/outside/o",
        "/single/file",
        "/single/new",
        "/single/new/x",
        "/nowhere/x",
        "/nowhere",
        "named/deep/file",
        "named",
        "other/x",
    ];
    for path in paths {
        let written = files::write(path, b"written");
        tell(&format!("write {path}"), &written);
        if written.is_ok() {
            tell("  read", files::read(path, 100).map(text));
        }
    }
    tell("write much", files::write("/data/much", &vec![0; (1 << 20) + 1]));
    let most = files::write("/data/most", &vec![b'x'; 1 << 20]);
    tell("write most", &most);
    tell("read most", files::read("/data/most", u32::MAX).map(|bytes| bytes.len()));
    tell("list /data/folder", files::list("/data/folder").map(|entries| entries.len()));
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn try_exec() {
    let sh = |script: &str| exec::Command::new("sh").arg("-c").arg(script);
    let told =
        |output: exec::Output| (output.status, output.stdout.len(), output.stderr.len(), output.truncated);
    tell("exit 3", exec::run(&sh("exit 3")).map(told));
    tell("much", exec::run(&sh("head -c 600000 /dev/zero; head -c 70000 /dev/zero >&2")).map(told));
    tell("not granted", exec::run(&exec::Command::new("rm")));
    tell("not by this name", exec::run(&exec::Command::new("/bin/sh")));
    tell("not there", exec::run(&exec::Command::new("no-such-program-here")));
    let with_env = |name: &str, value: &str| {
        let env = vec![(name.to_owned(), value.to_owned())];
        exec::run(&exec::Command { env, ..sh("exit 0") })
    };
    tell("an odd variable", with_env("A=B", "c"));
    tell("no variable", with_env("", "c"));
    tell("a NUL in a variable", with_env("A", "\0"));
    tell("a NUL", exec::run(&sh("\0")));
    tell("many arguments", exec::run(&exec::Command { args: vec![String::new(); 257], ..sh("") }));
    tell("much input", exec::run(&exec::Command { stdin: vec![0; 128 << 10], ..sh("exit 0") }));
}

fn try_rest() {
    for name in ["s/set", "s/none", "t/set"] {
        tell(&format!("secret {name}"), secrets::read(name));
    }
    for name in ["s/most", "s/more"] {
        tell(&format!("secret {name}"), secrets::read(name).map(|text| text.map(|text| text.len())));
    }
    tell("a long secret", secrets::read(&"long".repeat(129)).map_err(|error| error.to_string()));
    tell("time", (clock::now(), clock::now()));
    tell("random", (random::bytes(0).len(), random::bytes(10).len(), random::bytes(5000).len()));
    progress::report(200, "two\nlines");
    progress::busy("\u{e4}".repeat(300));
}

#[cfg(test)]
mod tests;

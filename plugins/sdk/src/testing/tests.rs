use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::*;
use crate::files::{FilesError, Kind};
use crate::http::Response;
use crate::{clock, exec, files, http, kv, params, progress, random, secrets};

#[test]
fn param_is_the_machines_own_then_what_it_inherits_then_none() {
    let host = Host::new().param("a", 1).inherited_param("a", 2).inherited_param("b", 3);
    host.enter(|| {
        let read = |name| params::read::<u8>(name).unwrap();
        assert_eq!((read("a"), read("b"), read("c")), (Some(1), Some(3), None));
        assert_eq!(params::names("").unwrap(), ["a", "b"]);
        params::remove("a").unwrap();
        params::remove("b").unwrap();
        params::write("c", "x").unwrap();
        assert_eq!((read("a"), read("b")), (Some(2), Some(3)));
    });
    assert_eq!((host.own_param("a"), host.own_param("c")), (None, Some(json!("x"))));
}

#[test]
fn value_that_the_endpoint_refuses_is_not_written() {
    let host = Host::new().refuse_param("size", "must be a number");
    let error = host.enter(|| params::write("size", "large")).unwrap_err();
    assert_eq!(error.to_string(), "the value of param `size` was refused: must be a number");
    assert_eq!(host.own_param("size"), None);
}

#[test]
fn what_was_not_granted_is_refused_and_not_recorded() {
    let host = Host::new()
        .grants(["params: read a/*", "kv: ro", "http: https://a.example/*", "exec: lshw", "files: /sys ro"])
        .unwrap()
        .route(Method::Get, "https://b.example/", Reply::status(200))
        .program("lshw", 0, "{}")
        .program("rm", 0, "")
        .file("/sys/x", "x")
        .file("/etc/x", "x")
        .secret("s", "x");
    host.enter(|| {
        assert!(matches!(params::write("a/b", &1).unwrap_err().kind(), params::ErrorKind::NotGranted));
        assert!(matches!(params::read::<u8>("b").unwrap_err().kind(), params::ErrorKind::NotGranted));
        assert!(matches!(kv::set("k", &1), Err(kv::KvError::NotGranted)));
        assert_eq!(kv::get::<u8>("k").unwrap(), None);
        let answer = http::Request::get("https://b.example/").send();
        assert!(matches!(answer, Err(HttpError::NotGranted(url)) if url == "https://b.example/"));
        assert_eq!(exec::run(&Command::new("rm")), Err(HostError::NotGranted("rm".to_owned())));
        assert!(exec::run(&Command::new("lshw")).unwrap().is_success());
        assert_eq!(files::read("/etc/x", 1), Err(FilesError::NotGranted("/etc/x".to_owned())));
        assert_eq!(files::write("/sys/x", b""), Err(FilesError::NotGranted("/sys/x".to_owned())));
        assert_eq!(files::read("/sys/x", 9).unwrap(), b"x");
        assert!(matches!(secrets::read("s"), Err(secrets::SecretError::NotGranted(_))));
    });
    assert_eq!(host.requests(), []);
    assert_eq!(host.commands().len(), 1);
}

#[test]
fn requests_are_answered_by_routes_then_by_the_function_then_by_nobody() {
    let host = Host::new()
        .route(Method::Get, "https://A.example/x/../y#z", Reply::status(201).header("X-One", "1"))
        .http(|request| match request.url.as_str() {
            "https://a.example/json" => Ok(Reply::status(200).json(json!({"posted": request.body.len()}))),
            "https://a.example/huge" => Ok(Reply::status(200).body(vec![0; (1 << 20) + 1])),
            _ => Err(HttpError::Unavailable("nobody is there".to_owned())),
        });
    host.enter(|| {
        let answer = http::Request::get("https://a.example/y").header("Accept", "x").send().unwrap();
        assert_eq!((answer.status, answer.header("x-one")), (201, Some("1")));
        let answer = http::Request::post("https://a.example/json").body("four").send().unwrap();
        assert_eq!(answer.json::<Value>().unwrap(), json!({"posted": 4}));
        let failed = |url: &str| http::Request::get(url).send().unwrap_err().to_string();
        assert_eq!(failed("https://a.example/other"), "no answer: nobody is there");
        assert!(failed("https://a.example/huge").ends_with("answered with more than 1048576 bytes"));
    });
    let asked: Vec<_> = host.requests().into_iter().map(|request| (request.url, request.headers)).collect();
    assert_eq!(asked[0], ("https://a.example/y".to_owned(), vec![("accept".to_owned(), "x".to_owned())]));
    let nobody = Host::new().enter(|| http::Request::get("https://a.example/").send());
    assert!(matches!(nobody, Err(HttpError::Unavailable(_))), "{nobody:?}");
}

#[test]
fn an_answer_may_look_at_the_host_that_it_answers_for() {
    let host = Host::new().http(|_| {
        kv::set("asked", &true).map_err(|error| HttpError::Other(error.to_string()))?;
        Ok(Reply::status(204))
    });
    let Response { status, .. } = host.enter(|| http::Request::get("http://a.example/").send()).unwrap();
    assert_eq!((status, host.kv_value("asked")), (204, Some(json!(true))));
}

#[test]
fn folder_of_this_machine_is_copied_with_its_links() {
    let folder = std::env::temp_dir().join(format!("formwork-sdk-{}", std::process::id()));
    fs::create_dir_all(folder.join("devices/eth0")).unwrap();
    fs::write(folder.join("devices/eth0/address"), "52:54:00:00:00:01\n").unwrap();
    symlink("devices/eth0", folder.join("eth0")).unwrap();
    let host = Host::new().folder_of("/sys", &folder).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    host.enter(|| {
        assert_eq!(files::read("/sys/eth0/address", 2).unwrap(), b"52");
        let entries: Vec<_> =
            files::list("/sys").unwrap().into_iter().map(|entry| (entry.name, entry.kind)).collect();
        assert_eq!(entries, [("devices".to_owned(), Kind::Folder), ("eth0".to_owned(), Kind::Link)]);
        files::write("/sys/eth0/mtu", b"1500").unwrap();
    });
    assert_eq!(host.file_bytes("/sys/devices/eth0/mtu").unwrap(), b"1500");
}

#[test]
fn clock_stands_until_it_is_moved_and_never_goes_back_within_a_call() {
    let host = Host::new().at(Timestamp(5000));
    host.enter(|| {
        assert_eq!(clock::now(), Timestamp(5000));
        host.advance(Duration::from_secs(1));
        assert_eq!(clock::now(), Timestamp(6000));
    });
    let host = host.at(Timestamp(1));
    assert_eq!(host.enter(clock::now), Timestamp(1));
}

#[test]
fn random_bytes_are_those_of_the_seed() {
    let bytes = |seed| Host::new().seed(seed).enter(|| random::bytes(8));
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
    assert_eq!(Host::new().enter(|| random::bytes(u32::MAX)).len(), 4096);
}

#[test]
fn task_that_asks_for_another_call_gets_the_next_attempt() {
    struct Patient;
    impl Task for Patient {
        fn run(call: &Call) -> Result<Outcome, Failure> {
            progress::report(250, format_args!("attempt\n{}", call.attempt));
            let later = call.now.after(Duration::from_secs(60));
            Ok(if call.attempt < 2 { Outcome::RetryAt(later) } else { Outcome::Done })
        }
    }
    let host = Host::new();
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(host.run::<Patient>().unwrap());
        host.advance(Duration::from_secs(60));
    }
    let retry = |seconds: u64| Outcome::RetryAt(Timestamp(NOW_MS + seconds * 1000));
    assert_eq!(outcomes, [retry(60), retry(120), Outcome::Done, retry(240)]);
    assert_eq!(host.progress()[1], Progress { percent: Some(100), message: "attempt 1".to_owned() });
}

#[test]
#[should_panic(expected = "it exceeded its limit `host-calls` of 10000")]
fn call_that_asks_without_end_is_stopped() {
    Host::new().enter(|| {
        loop {
            params::read::<u8>("a").unwrap();
        }
    });
}

#[test]
#[should_panic(expected = "it exceeded its limit `log-bytes` of 1048576")]
fn call_that_logs_without_end_is_stopped() {
    Host::new().enter(|| {
        loop {
            log::info!("{}", "x".repeat(10_000));
        }
    });
}

#[test]
#[should_panic(expected = "no host is here to answer")]
fn asking_without_a_host_is_told() {
    params::read::<u8>("a").ok();
}

//! One component of each kind and track, and every capability.

use std::sync::Arc;

use formwork_sandbox::{
    ActionCall, Blob, CallError, Census, Change, Conflict, EventCall, ExecOutput, ExecStatus, Grants,
    HostAnswer, HostCall, HttpMethod, HttpResponse, Invocation, KvCall, LimitName, Outcome, PluginEvent,
    ProgressReport, RandomCall, Resolution, SecretsCall, Subject, SubjectKind, SwitchCheck, SwitchDecision,
    SwitchReport, SyncDecision, SyncReport, Target, Upgrade, native,
};

use crate::support::{Memory, call, params, prepared, task};

/// The lines that a host was told.
fn lines(host: &Memory) -> Vec<String> {
    host.lines.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
}

#[tokio::test]
async fn every_capability_reaches_the_host_and_its_answer_the_guest() {
    let (sandbox, digest) = prepared("guest-capable").await;
    let folder = tempfile::tempdir().unwrap();
    let response = HttpResponse {
        status: 302,
        headers: vec![("location".to_owned(), "/there".to_owned())],
        body: Blob(b"moved".to_vec()),
    };
    let output = ExecOutput {
        status: ExecStatus::Exited(0),
        stdout: Blob(b"{}".to_vec()),
        stderr: Blob::default(),
        truncated: false,
    };
    let answers = [
        HostAnswer::Http(response),
        HostAnswer::Done,
        HostAnswer::Text(Some("7".to_owned())),
        HostAnswer::Names(vec!["cursor".to_owned(), "a".to_owned()]),
        HostAnswer::Done,
        HostAnswer::Exec(output),
        HostAnswer::Done,
        HostAnswer::Text(Some("hush".to_owned())),
        HostAnswer::Time(9),
        // A clock that goes back.
        HostAnswer::Time(5),
        HostAnswer::Bytes(Blob(vec![1, 2, 3, 4, 5])),
    ];
    let host = Arc::new(Memory {
        files: native::Files::new().root("files", folder.path()),
        answers: std::sync::Mutex::new(answers.into_iter().map(Ok).collect()),
        ..Memory::default()
    });
    let grants = Grants::parse([
        "params: read capable/*",
        "params: write capable/own",
        "http: https://bmc.example/redfish/*",
        "kv: rw",
        "files: files rw",
        "files: /proc ro",
        "exec: lshw",
        "secrets: ipmi/*",
    ]);
    let report =
        sandbox.asking(&digest, call("capable", grants.unwrap(), &host)).run_task(task()).await.unwrap();
    let expected = [
        "attempt 0 at 1700000000000",
        "params [\"capable/own\"]",
        "param None",
        "http 302 Some(\"/there\") moved",
        "`https://other.example/` is not granted to this component",
        "kv Some(7) [\"cursor\"]",
        "file [101, 120]",
        "folder 1",
        "link Some(WrongKind(\"files/reports/a\"))",
        "read only Some(NotGranted(\"/proc/x\"))",
        "exec true 2",
        "secret Some(\"hush\")",
        "time 9 9",
        "random [1, 2, 3, 4]",
    ];
    assert_eq!(lines(&host), expected);
    assert_eq!(report.answer, Outcome::Done);
    assert_eq!(std::fs::read(folder.path().join("reports/a")).unwrap(), b"text");

    let asked = host.asked.lock().unwrap().clone();
    let HostCall::Http(request) = &asked[0] else { panic!("{asked:?}") };
    assert_eq!(
        (request.method, request.url.as_str()),
        (HttpMethod::Post, "https://bmc.example/redfish/v1?x=1")
    );
    assert_eq!(request.headers, [("x-token".to_owned(), "t".to_owned())]);
    assert!(request.exact_host && !request.any_certificate && request.body == Blob(b"{}".to_vec()));
    let key = || "cursor".to_owned();
    assert_eq!(
        asked[1..5],
        [
            HostCall::Kv(KvCall::Set { key: key(), json: "7".to_owned() }),
            HostCall::Kv(KvCall::Get { key: key() }),
            HostCall::Kv(KvCall::List { prefix: "c".to_owned() }),
            HostCall::Kv(KvCall::Delete { key: key() }),
        ]
    );
    let HostCall::Exec(command) = &asked[5] else { panic!("{asked:?}") };
    assert_eq!(
        (command.program.as_str(), command.args.as_slice()),
        ("lshw", ["-json".to_owned()].as_slice())
    );
    let progress = ProgressReport { percent: Some(50), message: "half of it".to_owned() };
    assert_eq!(asked[6], HostCall::Progress(progress));
    assert_eq!(asked[7], HostCall::Secrets(SecretsCall { name: "ipmi/password".to_owned() }));
    assert_eq!(asked[8..], [HostCall::Clock, HostCall::Clock, HostCall::Random(RandomCall { count: 4 })]);
}

#[tokio::test]
async fn each_capability_that_was_not_granted_keeps_the_component_from_starting() {
    let (sandbox, digest) = prepared("guest-capable").await;
    let all = [
        "params: read *",
        "http: https://bmc.example/*",
        "kv: ro",
        "files: files ro",
        "exec: lshw",
        "secrets: ipmi/password",
    ];
    for left_out in all {
        let grants = Grants::parse(all.into_iter().filter(|line| *line != left_out)).unwrap();
        let host = Arc::new(Memory::default());
        let error =
            sandbox.asking(&digest, call("capable", grants, &host)).run_task(task()).await.unwrap_err();
        let CallError::NotGranted { import, grant, .. } = &error else { panic!("{error:?}") };
        let capability = left_out.split(':').next().unwrap();
        assert!(import.starts_with(&format!("formwork:{capability}/{capability}@0.")), "{import}");
        assert!(grant.starts_with(&format!("{capability}:")), "{grant}");
        assert!(lines(&host).is_empty());
    }
}

#[tokio::test]
async fn a_guest_of_an_old_track_runs_beside_one_of_the_new() {
    let (sandbox, old) = prepared("guest-old-track").await;
    let (_, new) = prepared("plugin-greet").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "text and more").unwrap();
    let host =
        Arc::new(Memory { files: native::Files::new().root("/granted", folder.path()), ..Memory::default() });
    host.params.lock().unwrap().insert("old/greeting".to_owned(), "\"hi\"".to_owned());
    let grants = Grants::parse(["params: read *", "params: write *", "files: /granted ro"]).unwrap();
    let (old, new) = tokio::join!(
        sandbox.asking(&old, call("old", grants.clone(), &host)).run_task(task()),
        sandbox.asking(&new, call("greet", grants, &host)).run_task(task()),
    );
    assert_eq!(old.unwrap().answer, Outcome::RetryAt(1_700_000_000_001));
    assert_eq!(new.unwrap().answer, Outcome::Done);
    assert_eq!(host.value("old/machine").unwrap(), "\"n1\"");
    assert_eq!(host.value("greet/message").unwrap(), "\"hello n1\"");
    let expected = r#""hi" Ok([116, 101, 120, 116]) Err(Error::NotGranted("granted/file"))"#;
    assert!(lines(&host).contains(&expected.to_owned()), "{:?}", lines(&host));
}

fn policy() -> Invocation {
    Invocation::new("site/policy", "m1")
}

fn subject(kind: SubjectKind) -> Subject {
    Subject {
        kind,
        name: "n1".to_owned(),
        principal: "someone".to_owned(),
        is_operator: true,
        ..Subject::default()
    }
}

#[tokio::test]
async fn a_migration_policy_decides_and_its_refusals_are_told() {
    let (sandbox, digest) = prepared("guest-policy").await;
    let instance = subject(SubjectKind::Instance);
    sandbox.asking(&digest, policy()).admit(&instance).await.unwrap();
    let guest = Subject { is_operator: false, ..instance.clone() };
    let error = sandbox.asking(&digest, policy()).admit(&guest).await.unwrap_err();
    assert_eq!(error.to_string(), "component `site/policy` refused: someone may not move n1");

    let target = |name: &str, free: u64| Target {
        name: name.to_owned(),
        memory_free_bytes: free,
        ..Target::default()
    };
    let targets = [target("full", 0), target("some", 10), target("most", 20)];
    let choices = sandbox.asking(&digest, policy()).rank(&instance, &targets).await.unwrap();
    let choices: Vec<_> =
        choices.iter().map(|choice| (choice.target.as_str(), choice.reason.as_str())).collect();
    assert_eq!(choices, [("most", "20 bytes free"), ("some", "10 bytes free")]);
    let machine = subject(SubjectKind::Machine);
    let error = sandbox.asking(&digest, policy()).rank(&machine, &targets).await.unwrap_err();
    let CallError::Answer { words, .. } = &error else { panic!("{error:?}") };
    assert_eq!(words, "target `elsewhere` was not listed, or is chosen twice");

    let object =
        async |prefix| sandbox.asking(&digest, policy()).transform(&machine, (prefix, r#"{"a":1}"#)).await;
    assert_eq!(object("machines").await.unwrap().as_deref(), Some(r#"{"a":2}"#));
    assert_eq!(object("jobs").await.unwrap(), None);
}

#[tokio::test]
async fn a_migration_policy_resolves_conflicts_and_follows_the_copies() {
    let (sandbox, digest) = prepared("guest-policy").await;
    let subject = subject(SubjectKind::Instance);
    let conflict = |prefix: &str| Conflict {
        prefix: prefix.to_owned(),
        key: "k".to_owned(),
        at_source: r#"{"at":"source"}"#.to_owned(),
        at_target: r#"{"at":"target"}"#.to_owned(),
    };
    for (prefix, resolution) in [
        ("profiles", Resolution::KeepTarget),
        ("params", Resolution::TakeSource),
        ("machines", Resolution::Merge(r#"{"at":"tource"}"#.to_owned())),
    ] {
        let resolved = sandbox.asking(&digest, policy()).resolve(&subject, &conflict(prefix)).await.unwrap();
        assert_eq!(resolved, resolution);
    }
    let error =
        sandbox.asking(&digest, policy()).resolve(&subject, &conflict("templates")).await.unwrap_err();
    assert!(matches!(&error, CallError::Answer { words, .. } if words.contains("JSON")), "{error:?}");

    let report = SyncReport { round: 1, bytes_copied: 5, duration_ms: 70, bytes_changed: 2000 };
    let after = sandbox.asking(&digest, policy()).after_sync(&subject, report).await.unwrap();
    assert_eq!(after, SyncDecision::SyncAgain(70));
    let report = SyncReport { bytes_changed: 10, ..report };
    let after = sandbox.asking(&digest, policy()).after_sync(&subject, report).await.unwrap();
    assert_eq!(after, SyncDecision::Switch);

    let mut report = SwitchReport { elapsed_ms: 30, running: false, ..SwitchReport::default() };
    let after = async |report: &SwitchReport| {
        sandbox.asking(&digest, policy()).after_switch(&subject, report).await.unwrap()
    };
    assert_eq!(after(&report).await, SwitchDecision::Wait(30));
    report.running = true;
    assert_eq!(after(&report).await, SwitchDecision::Accept);
    let check = |name: &str, passed| SwitchCheck { name: name.to_owned(), passed, message: "no".to_owned() };
    report.checks = vec![check("ping", true), check("port", false)];
    let SwitchDecision::RollBack(failure) = after(&report).await else { panic!("it was accepted") };
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("check-failed", "port: no"));
}

#[tokio::test]
async fn an_upgrade_step_goes_forward_and_back() {
    let (sandbox, digest) = prepared("guest-step").await;
    let step = || Invocation::new("core/rename", "");
    let upgrade = |from: &str| Upgrade { from_version: from.to_owned(), to_version: "0.2.0".to_owned() };
    let scope = sandbox.asking(&digest, step()).applies(&upgrade("0.1.0")).await.unwrap();
    assert_eq!(scope, Some(vec!["machines".to_owned()]));
    assert_eq!(sandbox.asking(&digest, step()).applies(&upgrade("0.2.0")).await.unwrap(), None);
    let census = [Census { prefix: "machines".to_owned(), objects: 2000 }];
    let findings = sandbox.asking(&digest, step()).check(&upgrade("0.1.0"), &census).await.unwrap();
    assert!(findings[0].is_fatal && findings[0].message == "2000 objects go to 0.2.0", "{findings:?}");

    let old = r#"{"Name":"n","Old":1}"#;
    let Change::Replace(new) = sandbox.asking(&digest, step()).forward("machines", old).await.unwrap() else {
        panic!("it was not replaced")
    };
    assert_eq!(new, r#"{"Name":"n","New":1}"#);
    assert_eq!(sandbox.asking(&digest, step()).forward("machines", &new).await.unwrap(), Change::Keep);
    assert_eq!(sandbox.asking(&digest, step()).forward("machines", "{}").await.unwrap(), Change::Remove);
    let back = sandbox.asking(&digest, step()).backward("machines", &new).await.unwrap();
    assert_eq!(back, Change::Replace(old.to_owned()));
    let error = sandbox.asking(&digest, step()).forward("machines", "[").await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_plugin_describes_itself_acts_and_takes_events() {
    let (sandbox, digest) = prepared("guest-plugin").await;
    let answers = [HostAnswer::Text(Some("4".to_owned())), HostAnswer::Done];
    let host = Arc::new(Memory {
        answers: std::sync::Mutex::new(answers.into_iter().map(Ok).collect()),
        ..Memory::default()
    });
    let plugin = || call("counter/counter", Grants::parse(["kv: rw"]).unwrap(), &host);
    let description = sandbox.asking(&digest, plugin()).describe_plugin().await.unwrap();
    assert_eq!(
        (description.name.as_str(), description.events.as_slice()),
        ("counter", ["machines.update.*".to_owned()].as_slice())
    );
    assert_eq!(description.actions[0].required_params, ["counter/step"]);

    let action = |action: &str| ActionCall {
        action: action.to_owned(),
        key: "m1".to_owned(),
        object: "{}".to_owned(),
        params: r#"{"counter/step":3}"#.to_owned(),
        config: "{}".to_owned(),
        ..ActionCall::default()
    };
    let report = sandbox.asking(&digest, plugin()).act(action("count")).await.unwrap();
    assert_eq!(report.answer, r#"{"count":7,"key":"m1"}"#);
    assert_eq!(report.used.host_calls, 2);
    let error = sandbox.asking(&digest, plugin()).act(action("other")).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Refused { failure, .. } if failure.code == "unknown-action"),
        "{error:?}"
    );

    let event = |kind: &str| EventCall {
        event: PluginEvent {
            kind: kind.to_owned(),
            object: "{}".to_owned(),
            revision: 5,
            ..PluginEvent::default()
        },
        config: "{}".to_owned(),
    };
    sandbox.asking(&digest, plugin()).on_event(event("machines")).await.unwrap();
    let error = sandbox.asking(&digest, plugin()).on_event(event("jobs")).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Refused { failure, .. } if failure.message == "jobs  5"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_call_that_only_decides_has_no_host() {
    let (sandbox, digest) = prepared("plugin-greet").await;
    let invocation = Invocation { grants: params(&["*"], &["*"]).into(), ..Invocation::new("greet", "") };
    let report = sandbox.asking(&digest, invocation).run_task(task()).await.unwrap();
    let Outcome::Failed(failure) = report.answer else { panic!("it read a parameter of nothing") };
    assert!(failure.message.contains("only decides"), "{failure}");
}

#[tokio::test]
async fn a_limit_of_a_manifest_is_told_by_the_same_name() {
    let (sandbox, digest) = prepared("guest-capable").await;
    let host = Arc::new(Memory::default());
    let grants = Grants::parse([
        "params: read *",
        "params: write *",
        "http: https://a/*",
        "kv: ro",
        "files: a ro",
        "exec: a",
        "secrets: a",
    ]);
    let asked = [("host-calls".to_owned(), 2)].into_iter().collect();
    let limits = formwork_sandbox::Limits::from_manifest(&asked).unwrap();
    let invocation = Invocation { limits, ..call("capable", grants.unwrap(), &host) };
    let error = sandbox.asking(&digest, invocation).run_task(task()).await.unwrap_err();
    assert_eq!(error.to_string(), "component `capable` exceeded its limit `host-calls` of 2");
    assert!(matches!(error, CallError::Limit { limit: LimitName::HostCalls, .. }));
}

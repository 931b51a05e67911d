//! Calls: what good components do, and how bad ones are stopped.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use formwork_sandbox::{
    Answer, CallError, Decision, Difference, Digest, FilesGrant, Grants, HostAnswer, HostError, Invocation,
    JobReport, JobState, Level, LimitName, Limits, Outcome, PlanRequest, Question, Refusal, Report,
    StageInfo, TaskInfo, Turn, native,
};
use serde_json::json;

use crate::support::corpus::Bad;
use crate::support::{Memory, call, guest, params, prepared, task};

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Runs the hostile task with one behaviour under small limits.
async fn misbehave(behaviour: &str) -> (Result<Report<Outcome>, CallError>, Arc<Memory>) {
    let (sandbox, digest) = prepared("guest-hostile").await;
    let host = Memory::with("hostile/behaviour", &format!("\"{behaviour}\""));
    let mut call = call("hostile", params(&["hostile/*"], &["hostile/*"]), &host);
    call.limits =
        Limits { memory_bytes: 16 << 20, log_bytes: 64 << 10, host_calls: 500, ..Limits::default() };
    match behaviour {
        "spin" => call.limits.fuel = 50_000_000,
        "wait" => call.limits.wall_time = Duration::from_millis(100),
        _ => {}
    }
    (sandbox.asking(&digest, call).run_task(task()).await, host)
}

/// What a misbehaving task is ended with.
async fn told(behaviour: &str) -> CallError {
    misbehave(behaviour).await.0.unwrap_err()
}

#[tokio::test]
async fn a_task_reads_and_writes_what_it_was_granted() {
    let (sandbox, digest) = prepared("plugin-greet").await;
    let host = Memory::with("inventory/cpu", r#"{"model":"Made Up 9","threads":4}"#);
    let grants = params(&["greet/name", "inventory/cpu"], &["greet/message"]);
    let report = sandbox.asking(&digest, call("greet", grants, &host)).run_task(task()).await.unwrap();
    assert_eq!(report.answer, Outcome::Done);
    assert!(report.used.fuel > 1000 && report.used.memory_peak >= 1 << 16, "{report:?}");
    assert_eq!(host.value("greet/message").unwrap(), r#""hello n1, 4 threads of Made Up 9""#);
    let lines = host.lines.lock().unwrap().clone();
    assert_eq!(lines, [(Level::Info, "hello n1, 4 threads of Made Up 9".to_owned())]);
}

#[tokio::test]
async fn a_component_that_asks_for_what_was_not_granted_is_not_started() {
    let (sandbox, digest) = prepared("plugin-greet").await;
    let host = Arc::new(Memory::default());
    let error =
        sandbox.asking(&digest, call("greet", Grants::default(), &host)).run_task(task()).await.unwrap_err();
    Bad::UnaskedImport.is_told(&error);
    assert!(host.lines.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_parameter_outside_of_the_grant_is_refused_to_the_guest() {
    let (report, host) = misbehave("ask-for-more").await;
    let Outcome::Failed(failure) = report.unwrap().answer else { panic!("it read a secret") };
    assert_eq!(failure.message, "param `secret` is not granted to this component");
    assert!(host.value("secret").is_none());
}

#[tokio::test]
async fn a_replay_tells_which_call_the_recorded_grants_refuse() {
    let (sandbox, digest) = prepared("guest-hostile").await;
    let host = Memory::with("hostile/behaviour", "\"none\"");
    let invocation = call("hostile", params(&["hostile/*"], &["hostile/*"]), &host);
    let question = Question::Run(task());
    let (ended, recording) = sandbox.ask_recorded(&digest, invocation, &question).await;
    assert_eq!(ended.unwrap().answer, Answer::Outcome(Outcome::Done));
    let mut recording = recording.unwrap();
    let replay = sandbox.replay(&digest, &recording).await.unwrap();
    assert_eq!(replay.difference, None);
    // The same component is told to do something else, as if it were another version.
    let first = recording.exchanges.first_mut().unwrap();
    first.answer = Ok(HostAnswer::Text(Some("\"ask-for-more\"".to_owned())));
    let replay = sandbox.replay(&digest, &recording).await.unwrap();
    let Some(Difference::End { refused, .. }) = replay.difference else { panic!("{replay:?}") };
    let refusal = Refusal { call: "params.read".into(), error: HostError::NotGranted("secret".into()) };
    assert_eq!(refused, [refusal]);
    // And if the recorded one went on to ask for something.
    let next = recording.exchanges[0].clone();
    recording.exchanges.push(next);
    let replay = sandbox.replay(&digest, &recording).await.unwrap();
    let shown = serde_json::to_value(&replay).unwrap();
    let shown = &shown["difference"]["call"];
    assert_eq!((&shown["at"], &shown["replayed"]), (&json!(1), &json!(null)));
    assert_eq!(shown["refused"], json!([{"call": "params.read", "error": {"not-granted": "secret"}}]));
    let message = &shown["ended"]["answer"]["outcome"]["failed"]["message"];
    assert_eq!(message, "param `secret` is not granted to this component");
}

#[tokio::test]
async fn endless_computing_ends_with_the_fuel() {
    Bad::InfiniteLoop.is_told(&told("spin").await);
}

#[tokio::test]
async fn endless_waiting_ends_with_the_wall_time() {
    Bad::InfiniteWait.is_told(&told("wait").await);
}

#[tokio::test]
async fn endless_allocation_ends_with_the_memory() {
    Bad::MemoryBomb.is_told(&told("allocate").await);
}

#[tokio::test]
async fn endless_logging_ends_with_the_log_bytes() {
    Bad::LogFlood.is_told(&told("log-flood").await);
}

#[tokio::test]
async fn endless_host_calls_end_with_their_number() {
    Bad::HostCallFlood.is_told(&told("host-calls").await);
}

#[tokio::test]
async fn a_huge_result_or_argument_is_not_taken() {
    Bad::HugeResult.is_told(&told("huge-result").await);
    Bad::HugeArgument.is_told(&told("huge-argument").await);
}

#[tokio::test]
async fn endless_recursion_is_told_as_a_stack_overflow() {
    for behaviour in ["recurse", "recurse-without-locals"] {
        let error = misbehave(behaviour).await.0.unwrap_err();
        Bad::StackOverflow.is_told(&error);
        let CallError::Trap { frames, .. } = &error else { panic!("{error:?}") };
        assert!(frames.iter().any(|frame| frame.contains("recurse")), "{frames:?}");
    }
}

#[tokio::test]
async fn a_panic_is_told_with_its_words_and_where_it_was() {
    let (report, host) = misbehave("panic").await;
    let error = report.unwrap_err();
    Bad::Panic.is_told(&error);
    let CallError::Trap { frames, .. } = &error else { panic!("{error:?}") };
    assert!(frames.iter().any(|frame| frame.contains("out_of_bounds")), "{frames:?}");
    let (level, line) = host.lines.lock().unwrap().last().unwrap().clone();
    assert_eq!(level, Level::Error);
    assert!(line.contains("tests/guests/hostile/src/lib.rs"), "{line}");
}

#[tokio::test]
async fn too_many_instances_are_not_started() {
    let (sandbox, digest) = prepared("guest-hostile").await;
    let host = Memory::with("hostile/behaviour", "\"none\"");
    let mut call = call("hostile", params(&["*"], &["*"]), &host);
    call.limits.instances = 0;
    let error = sandbox.asking(&digest, call).run_task(task()).await.unwrap_err();
    assert!(matches!(error, CallError::Limit { limit: LimitName::Instances, value: 0, .. }), "{error:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_guest_that_computes_gives_way_to_others() {
    let (sandbox, spinner) = prepared("guest-hostile").await;
    let (_, greeter) = prepared("plugin-greet").await;
    let spin = Memory::with("hostile/behaviour", "\"spin\"");
    let mut spin = call("hostile", params(&["*"], &["*"]), &spin);
    spin.limits = Limits { fuel: u64::MAX, wall_time: Duration::from_secs(60), ..Limits::default() };
    let host = Arc::new(Memory::default());
    let greet = call("greet", params(&["*"], &["*"]), &host);
    // The spinner is asked first; on one thread the greeter is reached only when the spinner gives way.
    tokio::select! {
        biased;
        ended = sandbox.asking(&spinner, spin).run_task(task()) => panic!("the spinner ended: {ended:?}"),
        greeted = sandbox.asking(&greeter, greet).run_task(task()) => assert_eq!(greeted.unwrap().answer, Outcome::Done),
    }
}

#[tokio::test]
async fn the_inventory_is_read_from_granted_folders_only() {
    let (sandbox, digest) = prepared("plugin-inventory").await;
    let sys = tempfile::tempdir().unwrap();
    let file = |path: &str, text: &str| {
        let path = sys.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    file("class/dmi/id/product_name", "Made Up Box\n");
    file("devices/pci0/block/sda/size", "4096\n");
    file("devices/pci0/net/eth0/address", "52:54:00:00:00:01\n");
    fs::create_dir_all(sys.path().join("block")).unwrap();
    fs::create_dir_all(sys.path().join("class/net")).unwrap();
    symlink("../devices/pci0/block/sda", sys.path().join("block/sda")).unwrap();
    symlink("../../devices/pci0/net/eth0", sys.path().join("class/net/eth0")).unwrap();
    // Leads out of what is granted, and must not be followed.
    symlink("/etc", sys.path().join("class/net/evil")).unwrap();
    let cpuinfo = sys.path().join("cpuinfo");
    fs::write(&cpuinfo, "processor : 0\nmodel name : Made Up 9\n").unwrap();

    let files = native::Files::new().root("/sys", sys.path()).root("/proc/cpuinfo", cpuinfo);
    let host = Arc::new(Memory { files, ..Memory::default() });
    let mut grants = params(&[], &["inventory/*"]);
    grants.files = vec![FilesGrant::read_only("/sys"), FilesGrant::read_only("/proc/cpuinfo")];
    let report = sandbox.asking(&digest, call("inventory", grants, &host)).run_task(task()).await.unwrap();
    assert_eq!(report.answer, Outcome::Done);
    assert_eq!(host.value("inventory/dmi").unwrap(), r#"{"product_name":"Made Up Box"}"#);
    assert_eq!(host.value("inventory/disks").unwrap(), r#"[{"name":"sda","size_bytes":2097152}]"#);
    assert_eq!(host.value("inventory/nics").unwrap(), r#"[{"name":"eth0","mac":"52:54:00:00:00:01"}]"#);
    assert!(host.value("inventory/cpu").unwrap().contains("Made Up 9"));
    assert_eq!(host.value("inventory/memory").unwrap(), "{}");
    let warned = |(level, line): &(Level, String)| *level == Level::Warn && line.contains("/proc/meminfo");
    assert!(host.lines.lock().unwrap().iter().any(warned));
}

#[tokio::test]
async fn the_classic_rules_are_asked_through_the_sandbox() {
    let (sandbox, digest) = prepared("plugin-classic").await;
    let request = PlanRequest {
        workflow: Some("w".to_owned()),
        stages: vec![StageInfo { name: "s".to_owned(), bootenv: "b".to_owned(), tasks: words("t") }],
        tasks: vec![TaskInfo { name: "t".to_owned(), prerequisites: words("p") }],
        ..PlanRequest::default()
    };
    let plan = sandbox.asking(&digest, Invocation::new("classic", "")).plan(&request).await.unwrap();
    assert_eq!(plan, words("stage:s bootenv:b p t"));

    let tasks = vec![TaskInfo { name: "t".to_owned(), prerequisites: words("t") }];
    let error = sandbox
        .asking(&digest, Invocation::new("classic", ""))
        .plan(&PlanRequest { tasks, ..request })
        .await
        .unwrap_err();
    let CallError::Refused { failure, .. } = &error else { panic!("{error:?}") };
    assert_eq!(failure.code, "prerequisite-cycle");

    let report = JobReport {
        task: "t".to_owned(),
        state: JobState::Failed,
        attempt: 1,
        retries: Some(2),
        handlers: words("h"),
        error_depth: 0,
    };
    assert_eq!(
        sandbox.asking(&digest, Invocation::new("classic", "")).after_job(&report).await.unwrap(),
        Decision::RetryAfterMs(4000)
    );
    let report = JobReport { attempt: 2, ..report };
    assert_eq!(
        sandbox.asking(&digest, Invocation::new("classic", "")).after_job(&report).await.unwrap(),
        Decision::Divert(words("h"))
    );
}

#[tokio::test]
async fn an_endless_plan_is_refused() {
    let (sandbox, digest) = prepared("guest-endless-plan").await;
    let stages = vec![StageInfo { name: "s".to_owned(), ..StageInfo::default() }];
    let request = PlanRequest { stages, ..PlanRequest::default() };
    let error = sandbox.asking(&digest, Invocation::new("endless", "")).plan(&request).await.unwrap_err();
    Bad::EndlessPlan.is_told(&error);
}

#[tokio::test]
async fn a_component_of_another_kind_is_not_called() {
    let (sandbox, classic) = prepared("plugin-classic").await;
    let host = Arc::new(Memory::default());
    let error = sandbox
        .asking(&classic, call("classic", Grants::default(), &host))
        .run_task(task())
        .await
        .unwrap_err();
    Bad::WrongKind.is_told(&error);
}

#[tokio::test]
async fn a_component_that_was_not_prepared_is_not_called() {
    let (sandbox, _) = prepared("plugin-greet").await;
    let digest = Digest::of(&guest("plugin-greet")[1..]);
    let error = sandbox
        .asking(&digest, Invocation::new("other", ""))
        .plan(&PlanRequest::default())
        .await
        .unwrap_err();
    assert_eq!(error, CallError::NotPrepared { component: "other".to_owned(), digest });
}

#[tokio::test]
async fn one_machines_load_is_refused_by_name_and_does_not_starve_another() {
    let (sandbox, hostile) = prepared("guest-hostile").await;
    let (_, greeter) = prepared("plugin-greet").await;
    let mut waiting = tokio::task::JoinSet::new();
    // Two of the eight places are this machine's, and 64 of its calls may wait.
    for _ in 0..67 {
        let host = Memory::with("hostile/behaviour", "\"wait\"");
        let mut call = call("hostile", params(&["*"], &["*"]), &host);
        call.turn = Turn::new("busy", "m");
        let sandbox = sandbox.clone();
        waiting.spawn(async move { sandbox.asking(&hostile, call).run_task(task()).await });
    }
    let error = waiting.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, CallError::Busy { .. }), "{error:?}");
    Bad::CallFlood.is_told(&error);
    let host = Arc::new(Memory::default());
    let mut greet = call("greet", params(&["*"], &["*"]), &host);
    greet.turn = Turn::new("busy", "other");
    let report = sandbox.asking(&greeter, greet).run_task(task()).await.unwrap();
    assert_eq!(report.answer, Outcome::Done);
}

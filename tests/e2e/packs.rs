//! Packs from the upload to the job that runs them, with real components.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::Output,
    sync::LazyLock,
};

use formwork_client::{ClientError, Credentials, JobCreation, PatchOp, Query};
use formwork_model::{
    GrantUse, InstalledPack, Job, JobState, Machine, PackState, Publisher, Task, Timestamp,
};
use formwork_packs::{Archive, Signer, SigningKey};
use formwork_toolchain::{GuestBuild, Install, Toolchain};
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, PATIENCE};

/// The guests that the packs here are made of.
const PACKAGES: [&str; 2] = ["guest-hostile", "plugin-greet"];

/// What the hostile guest needs to be told how to behave.
const READS: &str = "params: read hostile/*";

/// What `greet` needs.
const GREETS: [&str; 3] =
    ["params: read greet/name", "params: read inventory/cpu", "params: write greet/message"];

/// The components by the name of their package, built once for all tests.
static GUESTS: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    // This program is in `<target>/<profile>/deps`.
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let toolchain = Toolchain::find(&target.join("toolchain"), Install::Never).unwrap();
    let build = GuestBuild {
        workspace_dir: Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap(),
        packages: PACKAGES.map(str::to_owned).to_vec(),
        target_dir: target.join("guests"),
        profile: String::from("guest"),
    };
    let built = toolchain.build(&build).unwrap();
    built.into_iter().map(|component| (component.package, component.wasm)).collect()
});

/// A pack as a test describes it: one component `probe`, with a task, a stage and a workflow of this name.
struct Recipe<'a> {
    name: &'a str,
    version: &'a str,
    guest: &'a str,
    grants: &'a [&'a str],
    limits: Value,
}

impl Recipe<'_> {
    /// The hostile guest with what it needs.
    fn hostile(version: &str) -> Recipe<'_> {
        Recipe { name: "probes", version, guest: "guest-hostile", grants: &[READS], limits: json!({}) }
    }

    /// Writes the pack file.
    fn write(&self, folder: &Path, key: Option<&SigningKey>) -> PathBuf {
        let pack = folder.join(format!("{}-{}", self.name, self.version));
        let component =
            json!({"name": "probe", "kind": "task", "grants": self.grants, "limits": self.limits});
        let manifest = json!({"name": self.name, "version": self.version, "components": [component]});
        let name = format!("{}-probe", self.name);
        let task =
            json!({"Name": name, "Component": format!("{}/probe", self.name), "Description": self.version});
        let texts = [
            (String::from("pack.yaml"), manifest),
            (format!("tasks/{name}.yaml"), task),
            (format!("stages/{name}.yaml"), json!({"Name": name, "Tasks": [name]})),
            (format!("workflows/{name}.yaml"), json!({"Name": name, "Stages": [name]})),
        ];
        for (path, text) in texts {
            write(&pack.join(path), text.to_string().as_bytes());
        }
        write(&pack.join("components/probe.wasm"), &GUESTS[self.guest]);
        let file = pack.with_extension("fwpack");
        let signer = key.map(|key| Signer { key, now: Timestamp::from_millis(1_700_000_000_000) });
        let archive = Archive::from_folder(&pack).unwrap();
        archive.write(std::fs::File::create(&file).unwrap(), signer).unwrap();
        file
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

/// Uploads a pack file by the API; with `wait` the answer tells how it ended.
async fn upload(endpoint: &Endpoint, file: &Path, query: Query) -> Result<InstalledPack, ClientError> {
    let length = file.metadata().unwrap().len();
    let file = tokio::fs::File::open(file).await.unwrap();
    endpoint.client().pack_upload(file, length, &query, |_| ()).await
}

fn waiting() -> Query {
    Query::new().with("wait", true)
}

fn refusal(error: ClientError) -> formwork_api::ApiError {
    match error {
        ClientError::Api(error) => *error,
        other => panic!("{other}"),
    }
}

/// Waits for the changes of a type until a condition holds; it is looked at before the first change too.
async fn until(
    endpoint: &Endpoint,
    prefix: &str,
    mut holds: impl AsyncFnMut(&formwork_client::Client) -> bool,
) {
    let client = endpoint.client();
    let waiting = async {
        let mut events = client.events().await.unwrap();
        events.register(&format!("{prefix}.*.*")).await.unwrap();
        while !holds(&client).await {
            events.next().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came to that");
}

/// Makes a machine whose jobs run on the endpoint, and begins a workflow.
async fn begin(endpoint: &Endpoint, name: &str, workflow: &str, params: Value) -> String {
    let machine = json!({"Name": name, "Context": "host", "Meta": {"BaseContext": "host"}, "Workflow": workflow,
                         "Params": params});
    let made = endpoint.client().collection("machines").create(&machine).await.unwrap();
    made["Uuid"].as_str().unwrap().to_owned()
}

/// Waits for the end of a machine's job and returns it.
async fn ended(endpoint: &Endpoint, machine: &str) -> Job {
    let mut found = None;
    until(endpoint, "jobs", async |client: &formwork_client::Client| {
        let jobs: Vec<Job> = client.list(&Query::new().with("Machine", machine)).await.unwrap();
        found = jobs.into_iter().find(|job| job.state.is_final() && !job.task.contains(':'));
        found.is_some()
    })
    .await;
    found.unwrap()
}

#[tokio::test]
async fn signed_pack_is_installed_with_consent_and_its_task_runs() {
    let endpoint = Endpoint::start();
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::from_seed(&[7; 32]);
    let file = Recipe::hostile("1.0.0").write(folder.path(), Some(&key));
    let path = file.to_str().unwrap();
    let unknown = endpoint.cli(&["pack", "install", path, "--grant", "all"]);
    let words = String::from_utf8(unknown.stderr).unwrap();
    assert!(!unknown.status.success() && words.contains("no publisher that is trusted here"), "{words}");
    let publisher =
        Publisher { id: "acme".into(), public_key: key.public().to_string(), ..Publisher::default() };
    endpoint.client().create(&publisher).await.unwrap();
    let unasked = endpoint.cli(&["pack", "install", path]);
    let words = String::from_utf8(unasked.stderr).unwrap();
    assert!(!unasked.status.success() && words.contains(&format!("--grant '{READS}'")), "{words}");
    assert!(words.contains("new") && words.contains("signed by acme"), "{words}");
    let installed = endpoint.cli(&["pack", "install", path, "--grant", READS]);
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let pack: InstalledPack = serde_json::from_slice(&installed.stdout).unwrap();
    assert_eq!((pack.state, pack.signer.as_str(), pack.granted.len()), (PackState::Ready, "acme", 1));
    let machine = begin(&endpoint, "m1", "probes-probe", json!({"hostile/behaviour": "none"})).await;
    let job = ended(&endpoint, &machine).await;
    assert_eq!((job.state, job.component.as_str()), (JobState::Finished, "probes/probe"), "{job:?}");
    assert_eq!(job.component_digest, pack.components[0].digest);
    let grants = endpoint.cli(&["pack", "grants", "probes"]);
    let grants: Vec<GrantUse> = serde_json::from_slice(&grants.stdout).unwrap();
    assert_eq!((grants[0].line.as_str(), grants[0].count, grants[0].never_used), (READS, 1, false));
    let shown = endpoint.cli(&["pack", "list", "-F", "table"]);
    let words = String::from_utf8(shown.stdout).unwrap();
    assert!(words.contains("probes") && words.contains("ready") && words.contains("acme"), "{words}");
}

/// Makes a machine that an agent is to work on, and runs one until there is nothing to do.
async fn run_agent(endpoint: &Endpoint, name: &str, mac: &str, behaviour: &str) -> (String, Output) {
    let machine = json!({"Name": name, "HardwareAddrs": [mac], "Workflow": "probes-probe",
                         "Params": {"hostile/behaviour": behaviour}});
    let made = endpoint.client().collection("machines").create(&machine).await.unwrap();
    let state = endpoint.folder().join(name);
    let state = state.to_str().unwrap();
    let output = endpoint.cli(&["agent", "--simulate-mac", mac, "--state-dir", state, "--once"]);
    (made["Uuid"].as_str().unwrap().to_owned(), output)
}

#[tokio::test]
async fn uses_of_grants_by_agents_are_counted() {
    let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let unused = "params: write hostile/value";
    let file = Recipe { grants: &[READS, unused], ..Recipe::hostile("1.0.0") }.write(folder.path(), None);
    upload(&endpoint, &file, waiting().with("grant", "all")).await.unwrap();
    let (machine, output) = run_agent(&endpoint, "m1", "52:54:00:00:77:01", "none").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let client = endpoint.client();
    let uses = async || {
        let uses = client.pack_grants("probes").await.unwrap();
        uses.into_iter().map(|grant| (grant.line, grant.count, grant.never_used)).collect::<Vec<_>>()
    };
    let expected = |count| [(READS.to_owned(), count, false), (unused.to_owned(), 0, true)];
    assert_eq!(uses().await, expected(1));
    // Only the machine's own job, and only what its component was granted.
    let job = ended(&endpoint, &machine).await.uuid;
    let other = endpoint.machine("m2").await.uuid;
    for (machine, allowed) in [(&machine, true), (&other, false)] {
        let token = client.machine_token(machine, "1h").await.unwrap().token;
        let agent = endpoint.client_with(Credentials::Token(token));
        let lines = [READS, READS, "params: read *"].map(str::to_owned);
        let told = agent.job_grants_used(&job, &lines).await;
        assert_eq!(told.err().and_then(|error| error.status()), (!allowed).then_some(404));
    }
    assert_eq!(uses().await, expected(2));
    let many = vec![READS.to_owned(); 20_000];
    assert_eq!(client.job_grants_used(&job, &many).await.unwrap_err().status(), Some(413));
}

#[tokio::test]
async fn agent_that_is_not_to_wait_ends_when_a_job_failed_and_names_it() {
    let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let file = Recipe::hostile("1.0.0").write(folder.path(), None);
    upload(&endpoint, &file, waiting().with("grant", "all")).await.unwrap();
    let (machine, output) = run_agent(&endpoint, "m1", "52:54:00:00:77:01", "no-such").await;
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{words}");
    let job = ended(&endpoint, &machine).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(
        words.contains(&format!("Error: job `{}` of task `probes-probe` is failed", job.uuid)),
        "{words}"
    );
}

#[tokio::test]
async fn hostile_component_fails_its_job_by_name_while_the_endpoint_goes_on() {
    let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let file = Recipe::hostile("1.0.0").write(folder.path(), None);
    upload(&endpoint, &file, waiting().with("grant", "all")).await.unwrap();
    let tight = Recipe { name: "tight", limits: json!({"fuel": 1_000_000}), ..Recipe::hostile("1.0.0") };
    upload(&endpoint, &tight.write(folder.path(), None), waiting().with("grant", "all")).await.unwrap();
    let busy = begin(&endpoint, "busy", "tight-probe", json!({"hostile/behaviour": "spin"})).await;
    let greedy = begin(&endpoint, "greedy", "probes-probe", json!({"hostile/behaviour": "allocate"})).await;
    let loud = begin(&endpoint, "loud", "probes-probe", json!({"hostile/behaviour": "log-flood"})).await;
    let deep = begin(&endpoint, "deep", "probes-probe", json!({"hostile/behaviour": "recurse"})).await;
    let deeper = json!({"hostile/behaviour": "recurse-without-locals"});
    let deeper = begin(&endpoint, "deeper", "probes-probe", deeper).await;
    let careless = begin(&endpoint, "careless", "probes-probe", json!({"hostile/behaviour": "panic"})).await;
    let good = begin(&endpoint, "good", "probes-probe", json!({"hostile/behaviour": "none"})).await;
    for (machine, expected) in [
        (busy, "component `tight/probe` exceeded its limit `fuel` of 1000000"),
        (greedy, "component `probes/probe` exceeded its limit `memory-bytes` of 67108864"),
        (loud, "component `probes/probe` exceeded its limit `log-bytes` of 1048576"),
        (
            deep,
            "component `probes/probe` crashed: stack overflow: it exceeded its limit `stack-bytes` of 524288",
        ),
        (
            deeper,
            "component `probes/probe` crashed: stack overflow: it exceeded its limit `stack-bytes` of 524288",
        ),
        (
            careless,
            "component `probes/probe` crashed: panicked at tests/guests/hostile/src/lib.rs:76:15:\n\
             index out of bounds: the len is 0 but the index is 1",
        ),
    ] {
        let job = ended(&endpoint, &machine).await;
        assert_eq!((job.state, job.result_errors), (JobState::Failed, vec![expected.to_owned()]));
    }
    assert_eq!(ended(&endpoint, &good).await.state, JobState::Finished);
    assert!(endpoint.client().info().await.is_ok());
}

/// Replays a recording with a component, and returns the exit code and the difference that is shown.
fn replayed(endpoint: &Endpoint, recording: &Path, component: &Path) -> (Option<i32>, Value) {
    let arguments = ["replay", recording.to_str().unwrap(), "--component", component.to_str().unwrap()];
    let output = endpoint.cli(&arguments);
    let words = String::from_utf8_lossy(&output.stderr);
    let shown: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {words}"));
    (output.status.code(), shown["difference"].clone())
}

/// The recordings in a folder of calls of a component for a machine, the oldest first. There are those of the workflow too.
fn recordings(folder: &Path, component: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut found: Vec<_> =
        entries.filter(|path| name(path).ends_with(&format!("-{component}-run.json"))).collect();
    found.sort();
    found
}

#[tokio::test]
async fn calls_that_are_recorded_by_endpoint_and_agent_are_replayed_without_them() {
    let mut endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    endpoint.kill();
    endpoint.start_again_with(&["--record-calls", kept.to_str().unwrap()]);
    let grants = &["params: read greet/name", "params: read inventory/cpu", "params: write greet/message"];
    let greets = Recipe { name: "greets", guest: "plugin-greet", grants, ..Recipe::hostile("1.0.0") };
    let file = greets.write(folder.path(), None);
    upload(&endpoint, &file, waiting().with("grant", "all")).await.unwrap();
    let machine = begin(&endpoint, "m1", "greets-probe", json!({"greet/name": "Ada"})).await;
    assert_eq!(ended(&endpoint, &machine).await.state, JobState::Finished);
    // The recording of a call stands before its job ends.
    let [recorded] = recordings(&kept, "greets.probe").try_into().unwrap();
    let write_guest = |name: &str| {
        let file = folder.path().join(format!("{name}.wasm"));
        write(&file, &GUESTS[name]);
        file
    };
    let (greet, other) = (write_guest("plugin-greet"), write_guest("guest-hostile"));
    assert_eq!(replayed(&endpoint, &recorded, &greet), (Some(0), Value::Null));
    let (code, difference) = replayed(&endpoint, &recorded, &other);
    assert_eq!(code, Some(1));
    assert_eq!(difference["call"]["at"], json!(0), "{difference}");
    // The other one asks for its behaviour, which the recorded grants do not allow, before it asks for anything else.
    assert_eq!(difference["call"]["refused"][0]["error"], json!({"not-granted": "hostile/behaviour"}));

    let hostile = Recipe::hostile("1.0.0").write(folder.path(), None);
    upload(&endpoint, &hostile, waiting().with("grant", "all")).await.unwrap();
    let mac = "52:54:00:00:77:02";
    let machine = json!({"Name": "m2", "HardwareAddrs": [mac], "Workflow": "probes-probe",
                         "Params": {"hostile/behaviour": "none"}});
    endpoint.client().collection("machines").create(&machine).await.unwrap();
    let (state, by_agent) = (folder.path().join("state"), folder.path().join("by-agent"));
    let output = endpoint.cli(&[
        "agent",
        "--simulate-mac",
        mac,
        "--once",
        "--state-dir",
        state.to_str().unwrap(),
        "--record-calls",
        by_agent.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [recorded] = recordings(&by_agent, "probes.probe").try_into().unwrap();
    assert_eq!(replayed(&endpoint, &recorded, &other), (Some(0), Value::Null));
    assert_eq!(replayed(&endpoint, &recorded, &greet).0, Some(1));
}

#[tokio::test]
async fn upgrade_asks_for_what_is_wider_and_rolls_back_to_what_was() {
    let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let first = Recipe::hostile("1.0.0").write(folder.path(), None);
    upload(&endpoint, &first, waiting().with("grant", "all")).await.unwrap();
    let wider = Recipe { grants: &[READS, "params: write hostile/value"], ..Recipe::hostile("2.0.0") };
    let wider = wider.write(folder.path(), None);
    let error = refusal(upload(&endpoint, &wider, waiting()).await.unwrap_err());
    assert_eq!((error.code, error.r#type.as_str()), (409, "NeedsConsent"));
    assert_eq!(error.messages[0], "component `probe` asks for `params: write hostile/value`");
    let client = endpoint.client();
    let pack: InstalledPack = client.get("probes").await.unwrap();
    assert_eq!((pack.version.as_str(), pack.state), ("1.0.0", PackState::Ready));
    let incoming = pack.incoming.unwrap();
    assert_eq!((incoming.asked.len(), incoming.wider.len()), (2, 1));
    client.pack_allow(&incoming.digest, ["params: write hostile/value"]).await.unwrap();
    until(&endpoint, "packs", async |client: &formwork_client::Client| {
        let pack: InstalledPack = client.get("probes").await.unwrap();
        pack.version == "2.0.0" && pack.state == PackState::Ready
    })
    .await;
    let narrower = Recipe { grants: &["params: read hostile/behaviour"], ..Recipe::hostile("3.0.0") };
    let narrower = narrower.write(folder.path(), None);
    assert_eq!(upload(&endpoint, &narrower, waiting()).await.unwrap().version, "3.0.0");
    let back = endpoint.cli(&["pack", "rollback", "probes"]);
    let back: InstalledPack = serde_json::from_slice(&back.stdout).unwrap();
    assert_eq!((back.version.as_str(), back.granted.len()), ("2.0.0", 2));
    let task: Task = client.get("probes-probe").await.unwrap();
    assert_eq!(task.description, "2.0.0");
    let machine = begin(&endpoint, "m1", "probes-probe", json!({"hostile/behaviour": "none"})).await;
    assert_eq!(ended(&endpoint, &machine).await.state, JobState::Finished);
}

#[tokio::test]
async fn pack_is_removed_when_nothing_uses_it() {
    let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let file = Recipe::hostile("1.0.0").write(folder.path(), None);
    upload(&endpoint, &file, waiting().with("grant", "all")).await.unwrap();
    let client = endpoint.client();
    let task = json!({"Name": "mine", "Component": "probes/probe"});
    client.collection("tasks").create(&task).await.unwrap();
    let refused = endpoint.cli(&["pack", "remove", "probes"]);
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && words.contains("still in use by tasks:mine"), "{words}");
    client.collection("tasks").destroy("mine").await.unwrap();
    assert!(endpoint.cli(&["pack", "remove", "probes"]).status.success());
    assert!(!client.collection("tasks").exists("probes-probe").await.unwrap());
    assert!(!client.exists::<InstalledPack>("probes").await.unwrap());
    for kept in ["components", "packs", "uploads"] {
        assert_eq!(std::fs::read_dir(endpoint.folder().join(kept)).unwrap().count(), 0, "{kept}");
    }
}

#[tokio::test]
async fn job_keeps_the_version_that_it_started_with() {
    let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let client = endpoint.client();
    let first = Recipe::hostile("1.0.0").write(folder.path(), None);
    let pack = upload(&endpoint, &first, waiting().with("grant", "all")).await.unwrap();
    let digest = pack.components[0].digest.clone();
    // The machine's own agent is this test.
    let machine = json!({"Name": "m1", "Tasks": ["probes-probe", "probes-probe"]});
    let machine: Machine =
        serde_json::from_value(client.collection("machines").create(&machine).await.unwrap()).unwrap();
    let JobCreation::Created(job) = client.job_create(&machine.uuid, "", "").await.unwrap() else { panic!() };
    assert_eq!(job.component_digest, digest);
    // Two upgrades, so that the first version is not even the previous one any more.
    let mut newest = String::new();
    for version in ["2.0.0", "3.0.0"] {
        let next = Recipe { guest: "plugin-greet", grants: &GREETS, ..Recipe::hostile(version) };
        let file = next.write(folder.path(), None);
        let pack = upload(&endpoint, &file, waiting().with("grant", "all")).await.unwrap();
        newest.clone_from(&pack.components[0].digest);
    }
    let actions = client.job_actions(&job.uuid, "").await.unwrap();
    assert_eq!(
        (actions[0].meta["digest"].as_str(), actions[0].meta["grants"].as_str()),
        (digest.as_str(), READS)
    );
    assert_eq!(client.component(&digest).await.unwrap(), GUESTS["guest-hostile"]);
    let refused = endpoint.cli(&["pack", "remove", "probes"]);
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains(&format!("jobs:{}", job.uuid)), "{words}");
    for (old, new) in [("created", "running"), ("running", "finished")] {
        let patch = [PatchOp::test("/State", old), PatchOp::replace("/State", new)];
        client.patch::<Job>(&job.uuid, &patch).await.unwrap();
    }
    let JobCreation::Created(next) = client.job_create(&machine.uuid, "", "").await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (next.current_index, &next.component_digest),
        (1, &newest),
        "the next job has the version that is there"
    );
    let last = Recipe { guest: "plugin-greet", grants: &GREETS, ..Recipe::hostile("4.0.0") };
    upload(&endpoint, &last.write(folder.path(), None), waiting()).await.unwrap();
    assert_eq!(client.component(&digest).await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn pack_is_whole_or_as_before_after_a_kill_in_each_state() {
    let mut endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let states = [PackState::Received, PackState::Checking, PackState::Compiling];
    for (index, state) in states.into_iter().enumerate() {
        let version = format!("{}.0.0", index + 1);
        let file = Recipe::hostile(&version).write(folder.path(), None);
        upload(&endpoint, &file, Query::new().with("grant", "all")).await.unwrap();
        if state != PackState::Received {
            // It may have gone on meanwhile; the kill then comes later, and the same must hold.
            until(&endpoint, "packs", async |client: &formwork_client::Client| {
                let pack: InstalledPack = client.get("probes").await.unwrap();
                pack.incoming.is_none_or(|incoming| incoming.state == state)
            })
            .await;
        }
        endpoint.kill_and_start_again();
        until(&endpoint, "packs", async |client: &formwork_client::Client| {
            let pack: InstalledPack = client.get("probes").await.unwrap();
            let task: Option<Task> = client.get("probes-probe").await.ok();
            let done = pack.incoming.is_none();
            if done {
                assert_eq!(pack.version, version);
            }
            // Objects and record are of one version at every moment: both are read, so one may be the older one only
            // while the other has just come.
            done && task.is_some_and(|task| task.description == version)
        })
        .await;
    }
    let machine = begin(&endpoint, "m1", "probes-probe", json!({"hostile/behaviour": "none"})).await;
    assert_eq!(ended(&endpoint, &machine).await.state, JobState::Finished);
}

#[tokio::test]
async fn component_that_imports_what_its_manifest_does_not_ask_for_is_refused_with_its_file() {
    let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let file = Recipe { grants: &[], ..Recipe::hostile("1.0.0") }.write(folder.path(), None);
    let refused = endpoint.cli(&["pack", "install", file.to_str().unwrap(), "--yes"]);
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success(), "{words}");
    assert!(words.contains("`components/probe.wasm`: it imports `formwork:params`"), "{words}");
    let pack: InstalledPack = endpoint.client().get("probes").await.unwrap();
    assert_eq!(pack.state, PackState::Refused);
    assert!(!endpoint.client().collection("tasks").exists("probes-probe").await.unwrap());
}

#[tokio::test]
async fn bare_component_is_a_pack_of_its_own() {
    let endpoint = Endpoint::start_with(&["--allow-unsigned"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.wasm");
    write(&file, &GUESTS["guest-hostile"]);
    let arguments = ["pack", "install", file.to_str().unwrap(), "--name", "bare", "--grant", READS];
    let installed = endpoint.cli(&arguments);
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let client = endpoint.client();
    let task = json!({"Name": "bare-probe", "Component": "bare/bare"});
    client.collection("tasks").create(&task).await.unwrap();
    client.collection("stages").create(&json!({"Name": "st", "Tasks": ["bare-probe"]})).await.unwrap();
    client.collection("workflows").create(&json!({"Name": "wf", "Stages": ["st"]})).await.unwrap();
    let machine = begin(&endpoint, "m1", "wf", json!({"hostile/behaviour": "none"})).await;
    let job = ended(&endpoint, &machine).await;
    assert_eq!(job.state, JobState::Finished, "{job:?}");
}

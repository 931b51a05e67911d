//! The commands that an operator types.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, Stdio},
};

use formwork_client::{Credentials, JobCreation, Query};
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, program, serve_command};

fn json_of(endpoint: &Endpoint, arguments: &[&str]) -> Value {
    let output = endpoint.cli(arguments);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {words}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(endpoint: &Endpoint, arguments: &[&str]) -> String {
    let output = endpoint.cli(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Starts an endpoint on a fresh folder, on the ports of one that is gone, and returns what it says then.
fn first_words(gone: &Endpoint, given: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve_command(folder.path(), gone.ports);
    if !given {
        command.env_remove("FORMWORK_FIRST_USER");
    }
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut words = BufReader::new(process.stdout.take().unwrap());
    let mut text = String::new();
    // All of it is written at once.
    words.read_line(&mut text).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    words.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn password_of_the_first_user_is_told_only_when_the_endpoint_made_it_up() {
    let mut endpoint = Endpoint::start();
    endpoint.kill();
    let given = first_words(&endpoint, true);
    assert!(given.ends_with("\nuser      rocketskates\n") && !given.contains("test-password"), "{given}");
    let made_up = first_words(&endpoint, false);
    assert!(made_up.contains("\npassword  ") && made_up.contains("(shown this once)"), "{made_up}");
}

#[test]
fn verbs_of_the_ecosystem_work_on_every_type() {
    let endpoint = Endpoint::start();
    let made = json_of(&endpoint, &["profiles", "create", "web"]);
    assert_eq!(made["Name"], "web");
    let set = json_of(&endpoint, &["profiles", "set", "web", "param", "a/b", "to", "{\"x\": 1}"]);
    assert_eq!(set, json!({"x": 1}));
    assert_eq!(json_of(&endpoint, &["profiles", "get", "web", "param", "a/b"]), json!({"x": 1}));
    let updated = json_of(&endpoint, &["profiles", "update", "web", "{\"Description\": \"d\"}"]);
    assert_eq!((&updated["Description"], &updated["Params"]), (&json!("d"), &json!({"a/b": {"x": 1}})));
    assert_eq!(json_of(&endpoint, &["profiles", "count"]), json!(2));
    assert!(endpoint.cli(&["profiles", "exists", "web"]).status.success());
    assert!(endpoint.cli(&["profiles", "destroy", "web"]).status.success());
    assert!(refused(&endpoint, &["profiles", "exists", "web"]).contains("Not Found"));
    for prefix in
        ["machines", "params", "stages", "tasks", "workflows", "bootenvs", "jobs", "users", "templates"]
    {
        assert!(json_of(&endpoint, &[prefix, "list"]).is_array(), "{prefix}");
    }
}

#[test]
fn formats_are_json_yaml_and_table() {
    let endpoint = Endpoint::start();
    let table = endpoint.cli(&["stages", "list", "--format", "table"]);
    assert!(String::from_utf8_lossy(&table.stdout).lines().next().unwrap().contains("BootEnv"));
    let yaml = endpoint.cli(&["stages", "show", "none", "--format", "yaml"]);
    assert!(String::from_utf8_lossy(&yaml.stdout).contains("Name: none"));
}

#[tokio::test]
async fn table_of_jobs_has_the_newest_last_whatever_their_keys_are() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let (mut keys, mut begun) = (Vec::new(), Vec::new());
    for (name, digit) in [("m1", "f"), ("m2", "0"), ("m3", "8")] {
        json_of(
            &endpoint,
            &["machines", "create", &json!({"Name": name, "Workflow": "discover"}).to_string()],
        );
        let machine = json_of(&endpoint, &["machines", "show", &format!("Name:{name}")]);
        let uuid = format!("{digit}0000000-0000-4000-8000-000000000000");
        let made = client.job_create(machine["Uuid"].as_str().unwrap(), "", &uuid).await.unwrap();
        let JobCreation::Created(job) = made else { panic!("{made:?}") };
        begun.push(job.start_time);
        keys.push(uuid);
    }
    assert!(begun.is_sorted_by(|one, next| one < next), "two programs ran in between: {begun:?}");
    // There are others, of what the endpoint itself did.
    let asked = |key: &String| key.ends_with("0000000-0000-4000-8000-000000000000");
    let shown = |arguments: &[&str]| {
        let text = String::from_utf8(endpoint.cli(arguments).stdout).unwrap();
        let key = |line: &str| line.split_whitespace().next().unwrap().to_owned();
        text.lines().skip(1).map(key).filter(asked).collect::<Vec<_>>()
    };
    assert_eq!(shown(&["jobs", "list", "--format", "table"]), keys);
    keys.sort();
    assert_eq!(shown(&["jobs", "list", "--format", "table", "--sort", "Uuid"]), keys);
    let listed = json_of(&endpoint, &["jobs", "list"]);
    let listed: Vec<_> =
        listed.as_array().unwrap().iter().map(|job| job["Uuid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed.into_iter().filter(asked).collect::<Vec<_>>(), keys);
}

/// drp-behaviour.md 3.8: a script says by its exit code what follows it; the program says it in the same way to whoever
/// started it, and a machine that goes is not runnable until it is back.
#[tokio::test]
async fn agent_ends_with_the_code_of_what_a_script_asks_for() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let folder = tempfile::tempdir().unwrap();
    // The code of the script, that of the agent, and what became of the job.
    let cases = [
        (64, 64, "finished", "reboot"),
        (32, 32, "finished", "poweroff"),
        (16, 0, "finished", "stop"),
        (192, 64, "incomplete", "reboot"),
        (160, 32, "incomplete", "poweroff"),
        (144, 0, "incomplete", "stop"),
    ];
    for (script, code, state, exit_state) in cases {
        let name = format!("exits-{script}");
        let contents = json!([{"Name": "script", "Contents": format!("#!/bin/sh\nexit {script}\n")}]);
        let task = json!({"Name": name, "Meta": {"feature-flags": "sane-exit-codes"}, "Templates": contents});
        client.collection("tasks").create(&task).await.unwrap();
        client.collection("stages").create(&json!({"Name": name, "Tasks": [name]})).await.unwrap();
        client.collection("workflows").create(&json!({"Name": name, "Stages": [name]})).await.unwrap();
        let mac = format!("52:54:00:00:78:{script:02x}");
        let machine = json!({"Name": name, "HardwareAddrs": [mac], "Workflow": name});
        let machine = client.collection("machines").create(&machine).await.unwrap();
        let state_dir = folder.path().join(&name);
        let agent = ["agent", "--simulate-mac", &mac, "--state-dir", state_dir.to_str().unwrap()];
        let ended = endpoint.cli(&agent);
        let words = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{name}: {words}");
        let machine = json_of(&endpoint, &["machines", "show", machine["Uuid"].as_str().unwrap()]);
        assert_eq!(machine["Runnable"], json!(false), "{name}");
        assert_eq!(machine["JobExitState"], json!(exit_state), "{name}");
        let job = json_of(&endpoint, &["jobs", "show", machine["CurrentJob"].as_str().unwrap()]);
        assert_eq!((&job["State"], &job["ExitState"]), (&json!(state), &json!(exit_state)), "{name}");
    }
}

#[test]
fn machine_follows_a_workflow_that_the_operator_sets() {
    let endpoint = Endpoint::start();
    json_of(&endpoint, &["machines", "create", "m1"]);
    let machine = json_of(&endpoint, &["machines", "workflow", "Name:m1", "discover"]);
    assert_eq!(machine["Workflow"], "discover");
    assert_eq!(machine["Tasks"][0], "stage:discover");
    let refused = refused(&endpoint, &["machines", "workflow", "Name:m1", "nowhere"]);
    assert!(refused.contains("Workflow nowhere does not exist"), "{refused}");
}

#[test]
fn errors_name_the_object_and_a_way_out() {
    let endpoint = Endpoint::start();
    let missing = refused(&endpoint, &["machines", "show", "Name:nobody"]);
    // What the tools of the ecosystem say, to the letter; what to do about it stands below.
    assert!(missing.starts_with("Error: GET: machines/Name:nobody: Not Found\nhint: "), "{missing}");
    let unreachable = refused(&endpoint, &["-E", "https://127.0.0.1:1", "--retries", "0", "info", "get"]);
    assert!(unreachable.contains("hint: is the endpoint running?"), "{unreachable}");
    let preference = refused(&endpoint, &["prefs", "set", "unknownBootEnv", "local"]);
    assert!(preference.contains("OnlyUnknown"), "{preference}");
}

/// Runs the filter with this as its standard input.
fn filter(program: &std::path::Path, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    // A filter that is none ends before it reads.
    process.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let output = process.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn filter_works_as_a_verb_and_under_a_name_that_ends_in_jq() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_formwork"));
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("drpjq");
    std::os::unix::fs::symlink(program, &named).unwrap();
    let input = r#"[{"Name": "a"}, {"Name": "b"}]"#;
    for (program, first) in [(program, &["jq"][..]), (named.as_path(), &[])] {
        let run = |words: &[&str]| filter(program, &[first, words].concat(), input);
        assert_eq!(run(&["-r", ".[].Name"]), (Some(0), String::from("a\nb\n")));
        assert_eq!(run(&["-e", "-c", "map(.Name) == []"]), (Some(1), String::from("false\n")));
        assert_eq!(run(&["nonsense("]).0, Some(3));
        assert_eq!(run(&["error(\"no\")"]).0, Some(5));
    }
    let deep = "[".repeat(9_000) + &"]".repeat(9_000);
    assert_eq!(filter(program, &["jq", "-c", "."], &deep), (Some(0), format!("{deep}\n")));
    assert_eq!(filter(program, &["jq", "."], &"[".repeat(1_000_000)).0, Some(2));
}

#[test]
fn gohai_tells_the_system_without_an_endpoint() {
    let output = program().args(["gohai", "-E", "https://127.0.0.1:1"]).output().unwrap();
    assert!(output.status.success());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["System"]["Memory"]["Total"].as_u64().is_some_and(|bytes| bytes > 0), "{found}");
    assert!(found["Networking"]["Interfaces"].is_array() && found["Storage"]["Disks"].is_array(), "{found}");
}

#[tokio::test]
async fn programs_behind_a_local_proxy_call_as_its_user_and_browsers_do_not() {
    let endpoint = Endpoint::start();
    json_of(&endpoint, &["machines", "create", "m1"]);
    let socket = endpoint.folder().join("proxy");
    let place = socket.to_str().unwrap();
    let mut command = endpoint.command(&["proxy", place]);
    // The proxy itself does not go through the socket that it makes.
    let mut proxy = command.env("RS_LOCAL_PROXY", place).stdout(Stdio::piped()).spawn().unwrap();
    let mut words = String::new();
    BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut words).unwrap();
    assert_eq!(words, format!("proxy     {place}\n"));
    // No password and no endpoint.
    let behind = |arguments: &[&str]| {
        let output =
            program().env("RS_LOCAL_PROXY", place).env("HOME", "/nonexistent").args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(behind(&["machines", "count"]), "1\n");
    let text = "x".repeat(1 << 20);
    let file = endpoint.folder().join("large");
    std::fs::write(&file, &text).unwrap();
    behind(&["files", "upload", file.to_str().unwrap(), "as", "large"]);
    assert_eq!(behind(&["files", "download", "large"]), text);
    let (mac, state) = ("52:54:00:00:78:01", tempfile::tempdir().unwrap());
    behind(&["machines", "create", &json!({"Name": "m0", "HardwareAddrs": [mac]}).to_string()]);
    behind(&["agent", "--once", "--simulate-mac", mac, "--state-dir", state.path().to_str().unwrap()]);
    assert_eq!(json_of(&endpoint, &["machines", "show", "Name:m0"])["Runnable"], true);
    let asked = |headers: &str| {
        let mut socket = std::os::unix::net::UnixStream::connect(place).unwrap();
        socket.write_all(format!("GET /api/v3/info HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(asked("Host: localhost\r\nAuthorization: Bearer wrong\r\n"), "200");
    assert_eq!(asked("Host: localhost\r\nOrigin: https://page\r\n"), "403");
    // Events go the same way.
    let place_of_proxy = formwork_client::Endpoint {
        url: "http://localhost".into(),
        credentials: Credentials::Token("x".into()),
    };
    let client = formwork_client::Client::connect(place_of_proxy).unwrap().through_socket(&socket).unwrap();
    let mut events = client.events().await.unwrap();
    events.register("machines.create.*").await.unwrap();
    json_of(&endpoint, &["machines", "create", "m2"]);
    assert_eq!(events.next().await.unwrap().object["Name"], "m2");
    proxy.kill().unwrap();
    proxy.wait().unwrap();
}

#[tokio::test]
async fn secure_values_of_a_bundle_move_to_another_endpoint_with_its_key_only() {
    let (first, second) = (Endpoint::start(), Endpoint::start());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let content = json!({"meta": {"Name": "vault", "Version": "v1.0.0"}, "sections": {
        "params": {"vault/pin": {"Name": "vault/pin", "Secure": true}},
        "profiles": {"vault": {"Name": "vault", "Params": {"vault/pin": "Correct-Horse-9"}}}
    }});
    std::fs::write(at("clear.json"), content.to_string()).unwrap();
    json_of(&first, &["contents", "upload", &at("clear.json")]);
    assert!(refused(&first, &["contents", "show", "vault"]).contains("--key FILE"));
    let shown = json_of(&first, &["contents", "show", "vault", "--key", &at("key")]);
    assert!(!shown.to_string().contains("Correct-Horse-9"), "{shown}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(at("key")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read(at("key")).unwrap();
    let again = refused(&first, &["contents", "show", "vault", "--key", &at("key")]);
    assert!(again.contains("is there already") && std::fs::read(at("key")).unwrap() == kept, "{again}");
    json_of(&first, &["contents", "show", "vault", "--key", &at("replaced")]);
    let replaced = std::fs::read(at("replaced")).unwrap();
    json_of(&first, &["contents", "show", "vault", "--key", &at("replaced"), "--force"]);
    assert_ne!(std::fs::read(at("replaced")).unwrap(), replaced);
    std::fs::write(at("sealed.json"), shown.to_string()).unwrap();
    assert!(refused(&second, &["contents", "upload", &at("sealed.json")]).contains("--key FILE"));
    std::fs::write(at("other"), format!("\"{}=\"", "A".repeat(43))).unwrap();
    let wrong = refused(&second, &["contents", "upload", &at("sealed.json"), "--key", &at("other")]);
    assert!(wrong.contains("does not open param `vault/pin` of profiles:vault"), "{wrong}");
    json_of(&second, &["contents", "upload", &at("sealed.json"), "--key", &at("key")]);
    let client = second.client();
    let stored = client.collection("profiles");
    let decode = Query::new().with("decode", true);
    let clear = stored.show("vault", &decode).await.unwrap();
    assert_eq!(clear["Params"]["vault/pin"], "Correct-Horse-9");
    assert!(stored.show("vault", &Query::new()).await.unwrap()["Params"]["vault/pin"]["Payload"].is_string());
}

#[tokio::test]
async fn folders_that_the_environment_names_are_those_of_the_jobs() {
    let endpoint = Endpoint::start();
    let client = endpoint.client();
    let script = "#!/bin/sh\necho \"$RS_TASK_DIR $PWD\" >\"$RS_RUNNER_DIR/told\"\n";
    let task = json!({"Name": "tell", "Templates": [{"Name": "script", "Contents": script}]});
    client.collection("tasks").create(&task).await.unwrap();
    client.collection("stages").create(&json!({"Name": "tell", "Tasks": ["tell"]})).await.unwrap();
    client.collection("workflows").create(&json!({"Name": "tell", "Stages": ["tell"]})).await.unwrap();
    let machine = json!({"Name": "m1", "HardwareAddrs": ["52:54:00:00:77:01"], "Workflow": "tell"});
    client.collection("machines").create(&machine).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut agent =
        endpoint.command(&["agent", "--once", "--simulate-mac", "52:54:00:00:77:01", "--state-dir"]);
    agent.arg(at("state")).env("RS_TASK_DIR", at("tasks")).env("RS_RUNNER_DIR", at("runner"));
    let ended = agent.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let told = std::fs::read_to_string(at("runner/told")).unwrap();
    let (named, inside) = told.trim().split_once(' ').unwrap();
    assert_eq!(named, inside);
    assert!(std::path::Path::new(named).parent() == Some(at("tasks").as_path()), "{told}");
}

#[test]
fn row_004_machine_is_found_by_its_name_and_by_a_hardware_address() {
    let endpoint = Endpoint::start();
    let made = json_of(
        &endpoint,
        &["machines", "create", r#"{"Name": "m1", "HardwareAddrs": ["52:54:00:00:04:01"]}"#],
    );
    let uuid = made["Uuid"].as_str().unwrap();
    let by_key = json_of(&endpoint, &["machines", "show", uuid]);
    assert_eq!(by_key["Uuid"], made["Uuid"]);
    for key in ["Name:m1", "HardwareAddr:52:54:00:00:04:01"] {
        assert_eq!(json_of(&endpoint, &["machines", "show", key]), by_key, "{key}");
    }
    for key in ["Name:m2", "HardwareAddr:52:54:00:00:04:02", "Address:10.0.0.1"] {
        assert!(refused(&endpoint, &["machines", "show", key]).contains("Not Found"), "{key}");
    }
}

#[test]
fn row_040_metadata_has_free_keys_and_those_with_a_meaning() {
    let endpoint = Endpoint::start();
    json_of(&endpoint, &["machines", "create", "m1"]);
    for (key, value) in [("color", "red"), ("icon", "server"), ("my key", "x")] {
        let meta = json_of(&endpoint, &["machines", "meta", "set", "Name:m1", "key", key, "to", value]);
        assert_eq!(meta[key], value);
    }
    assert_eq!(json_of(&endpoint, &["machines", "meta", "get", "Name:m1", "color"]), "red");
    assert!(
        refused(&endpoint, &["machines", "meta", "add", "Name:m1", "key", "color", "val", "b"])
            .contains("already")
    );
    let meta = json_of(&endpoint, &["machines", "meta", "remove", "Name:m1", "key", "color"]);
    assert!(meta.get("color").is_none() && meta["icon"] == "server", "{meta}");
    assert_eq!(json_of(&endpoint, &["machines", "show", "Name:m1"])["Meta"], meta);
}

#[tokio::test]
async fn purge_takes_the_jobs_of_a_machine_that_is_named() {
    let endpoint = Endpoint::start();
    for name in ["m1", "m2"] {
        let object = json!({"Name": name, "Workflow": "discover"}).to_string();
        json_of(&endpoint, &["machines", "create", &object]);
    }
    let of = |name: &str| json_of(&endpoint, &["machines", "jobs", name]).as_array().unwrap().len();
    for name in ["Name:m1", "Name:m2"] {
        let job = json_of(&endpoint, &["machines", "jobs", "create", name]);
        json_of(&endpoint, &["machines", "jobs", "state", name, "to", "failed"]);
        // The newest job is the current one, which stays; it is made so that the other is not.
        assert_eq!(job["State"], "created");
        json_of(&endpoint, &["machines", "run", name]);
        json_of(&endpoint, &["machines", "jobs", "create", name]);
    }
    let (first, second) = (of("Name:m1"), of("Name:m2"));
    assert!(first > 1 && second > 1, "{first} {second}");
    let flags = ["--jobs-to-keep", "0", "--complete-after", "0s", "--failed-after", "0s"];
    let purge = |more: &[&str]| {
        json_of(&endpoint, &[&["jobs", "purge", "--machine", "Name:m1"], &flags[..], more].concat())
    };
    let told = purge(&["--dry-run"]);
    assert_eq!(of("Name:m1"), first);
    assert_eq!(purge(&[]).as_array().unwrap().len(), told.as_array().unwrap().len());
    assert_eq!((of("Name:m1"), of("Name:m2")), (1, second));
}

#[test]
fn row_059_lists_are_filtered_sorted_and_limited() {
    let endpoint = Endpoint::start();
    for name in ["c", "a", "d", "b"].map(|name| format!("m-{name}")) {
        json_of(&endpoint, &["machines", "create", &name]);
    }
    let listed = json_of(&endpoint, &["machines", "list", "Pool=default", "sort=Name", "limit=3"]);
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|machine| machine["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["m-a", "m-b", "m-c"]);
    let listed = json_of(&endpoint, &["machines", "list", "--sort", "Name", "--reverse", "--limit", "1"]);
    assert_eq!(listed[0]["Name"], "m-d");
    assert_eq!(json_of(&endpoint, &["machines", "count", "Name=Re(m-[ab])"]), 2);
}

#[test]
fn token_is_kept_between_calls_and_dropped_with_the_password() {
    let endpoint = Endpoint::start();
    let file = endpoint.folder().join("tokens/.rocketskates.token");
    assert!(endpoint.cli(&["info", "check"]).status.success());
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(endpoint.cli(&["info", "check"]).status.success());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    // All tokens of the user end; the password in the environment is still the right one.
    json_of(&endpoint, &["users", "password", "rocketskates", "test-password"]);
    assert!(endpoint.cli(&["info", "check"]).status.success());
    assert_ne!(std::fs::read_to_string(&file).unwrap(), kept);
}

//! Machines that go through workflows in a simulation. The compiler is an example of this crate.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::PathBuf,
};

use formwork_sandbox::{HostAnswer, HostCall, HostError, HostFuture};
use formwork_toolchain::{GuestBuild, Install, Toolchain};
use serde_json::json;

use super::*;

/// Nothing is there.
struct Nowhere;

impl Host for Nowhere {
    fn call(&self, _: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        Box::pin(std::future::ready(Err(HostError::Unavailable(String::from("nowhere")))))
    }
}

struct Site {
    _folder: tempfile::TempDir,
    simulation: Simulation,
}

impl Site {
    async fn with(scripts: &[(&str, &[Ending])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let scripts = scripts.iter().map(|(task, ends)| {
            ((*task).to_owned(), Script { ends: ends.to_vec(), log: format!("{task} was here\n") })
        });
        let simulation = Simulation::fresh(Surroundings {
            scratch: folder.path().to_owned(),
            worker: program.ancestors().nth(2).unwrap().join("examples/server-compile-worker"),
            start: Timestamp::from_millis(1_000_000),
            outside: Arc::new(Nowhere),
            scripts: scripts.collect::<BTreeMap<_, _>>(),
        })
        .await
        .unwrap();
        Self { _folder: folder, simulation }
    }

    /// Makes tasks of scripts, a stage of them, and a machine in it.
    async fn machine(&self, tasks: &[&str], params: Value) -> String {
        for task in tasks.iter().filter(|task| !task.contains(':')) {
            let script = json!([{"Name": "script", "Contents": "#!/bin/sh\necho {{.Machine.Name}}\n"}]);
            let task = json!({"Name": task, "Templates": script});
            self.simulation.create("tasks", task).await.unwrap();
        }
        self.simulation.create("stages", json!({"Name": "st", "Tasks": tasks})).await.unwrap();
        self.simulation.create("workflows", json!({"Name": "wf", "Stages": ["st"]})).await.unwrap();
        let machine = json!({"Name": "m1", "Workflow": "wf", "Params": params});
        let machine = self.simulation.create("machines", machine).await.unwrap();
        machine["Uuid"].as_str().unwrap().to_owned()
    }
}

fn names(steps: &[Step]) -> Vec<(&str, &str)> {
    steps.iter().map(|step| (step.task.as_str(), step.state.as_str())).collect()
}

#[tokio::test]
async fn scripts_are_rendered_told_and_end_as_the_scenario_says() {
    let site = Site::with(&[("two", &[Ending::Failed])]).await;
    let uuid = site.machine(&["one", "two", "three"], json!({})).await;
    let steps = site.simulation.run(&uuid).await.unwrap();
    assert_eq!(names(&steps), [("stage:st", "finished"), ("one", "finished"), ("two", "failed")]);
    assert_eq!(steps[1].does, ["would run script script of 18 bytes"]);
    assert!(steps[2].log.contains("two was here"), "{:?}", steps[2]);
    assert_eq!(site.simulation.object("machines", &uuid).unwrap()["WorkflowComplete"], false);
}

#[tokio::test]
async fn retry_waits_in_invented_time_only() {
    let site = Site::with(&[("one", &[Ending::Failed, Ending::Finished])]).await;
    let uuid = site.machine(&["one"], json!({"task-retry": {"one": 1}})).await;
    let began = site.simulation.now();
    let steps = site.simulation.run(&uuid).await.unwrap();
    assert_eq!(names(&steps), [("stage:st", "finished"), ("one", "failed"), ("one", "finished")]);
    assert!(site.simulation.now().millis() - began.millis() >= 2_000);
    assert_eq!(site.simulation.object("machines", &uuid).unwrap()["WorkflowComplete"], true);
}

#[tokio::test]
async fn task_that_never_ends_is_stopped_with_a_reason() {
    let site = Site::with(&[("one", &[Ending::Incomplete])]).await;
    let uuid = site.machine(&["one"], json!({})).await;
    let error = site.simulation.run(&uuid).await.unwrap_err();
    assert!(error.messages[0].contains("task one was called again and again"), "{error}");
}

#[tokio::test]
async fn plan_tells_what_would_happen_and_changes_nothing() {
    let site = Site::with(&[]).await;
    let uuid = site.machine(&["one"], json!({})).await;
    site.simulation.change("machines", &uuid, &json!({"Workflow": "", "Stage": "none"})).await.unwrap();
    let before = site.simulation.object("machines", &uuid).unwrap();
    let members = json!({"Workflow": "discover"});
    let plan = plan::plan(&site.simulation.endpoint, &uuid, members.as_object().unwrap()).await.unwrap();
    assert_eq!(plan.tasks, ["stage:discover", "inventory", "context:host", "greet", "context:"]);
    let told: Vec<&str> = plan.steps.iter().map(|step| step.task.as_str()).collect();
    assert_eq!(told, plan.tasks);
    assert_eq!(plan.steps[1].does[0], "the agent would run the component of task inventory");
    assert_eq!((plan.complete, site.simulation.object("machines", &uuid).unwrap()), (true, before));
    assert_eq!(site.simulation.param(&uuid, "greet/message"), None);
}

/// The component of the guest `guest-eager`, which changes things outside.
fn eager() -> Vec<u8> {
    // This program is in `<target>/<profile>/deps`.
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let toolchain = Toolchain::find(&target.join("toolchain"), Install::Never).unwrap();
    let build = GuestBuild {
        workspace_dir: Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap(),
        packages: vec![String::from("guest-eager")],
        target_dir: target.join("guests"),
        profile: String::from("guest"),
    };
    toolchain.build(&build).unwrap().remove(0).wasm
}

/// An endpoint with the world around it, and in it a machine without a workflow. The task `eager` of the workflow `wf` posts to
/// a service, writes a file, runs a program and writes to the store of its pack.
struct World {
    site: Site,
    /// Where the service is that it posts to.
    service: TcpListener,
    /// A folder that it may write to, beside the file root of the endpoint.
    folder: tempfile::TempDir,
    machine: String,
}

impl World {
    /// The machine's jobs run in a context; the task is told a place for its file, and some more params.
    async fn new(context: &str, place: &str, more: Value) -> Self {
        let mut site = Site::with(&[]).await;
        Arc::get_mut(&mut site.simulation.endpoint).unwrap().outside = None;
        let service = TcpListener::bind("127.0.0.1:0").unwrap();
        service.set_nonblocking(true).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().to_str().unwrap();
        let url = format!("http://{}", service.local_addr().unwrap());
        let grants = [
            String::from("params: read eager/*"),
            String::from("params: write eager/*"),
            format!("http: {url}/*"),
            format!("files: {own} rw"),
            String::from("files: files rw"),
            String::from("exec: touch"),
            String::from("kv: rw"),
        ];
        let pack = folder.path().join("pack");
        std::fs::create_dir_all(pack.join("components")).unwrap();
        let component = json!({"name": "eager", "kind": "task", "grants": grants});
        let manifest = json!({"name": "tests", "version": "1.0.0", "components": [component]});
        std::fs::write(pack.join("pack.yaml"), manifest.to_string()).unwrap();
        std::fs::write(pack.join("components/eager.wasm"), eager()).unwrap();
        let simulation = &site.simulation;
        simulation.install(formwork_packs::load_folder(&pack).unwrap()).await.unwrap();
        simulation.create("tasks", json!({"Name": "eager", "Component": "tests/eager"})).await.unwrap();
        simulation.create("stages", json!({"Name": "st", "Tasks": ["eager"]})).await.unwrap();
        simulation.create("workflows", json!({"Name": "wf", "Stages": ["st"]})).await.unwrap();
        let mut params = json!({"eager/place": place.replace("OWN", own), "eager/url": format!("{url}/in")});
        json_patch::merge(&mut params, &more);
        let machine =
            json!({"Name": "m1", "Context": context, "Meta": {"BaseContext": context}, "Params": params});
        let machine = simulation.create("machines", machine).await.unwrap();
        Self { machine: machine["Uuid"].as_str().unwrap().to_owned(), site, service, folder }
    }

    async fn plan(&self) -> plan::Plan {
        let members = json!({"Workflow": "wf"});
        let endpoint = &self.site.simulation.endpoint;
        plan::plan(endpoint, &self.machine, members.as_object().unwrap()).await.unwrap()
    }

    /// What happened outside: whether the service was asked, the files that were written, and the machine's params.
    fn seen(&self) -> (bool, Vec<PathBuf>, Vec<String>) {
        let asked = match self.service.accept() {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                false
            }
        };
        let root = self.site.simulation.endpoint.options.file_root.join("files/eager");
        let files = [root, self.folder.path().join("eager")].into_iter().filter(|file| file.exists());
        let machine = self.site.simulation.object("machines", &self.machine).unwrap();
        let params = machine["Params"].as_object().unwrap().keys().cloned().collect();
        (asked, files.collect(), params)
    }

    fn url(&self) -> String {
        format!("http://{}/in", self.service.local_addr().unwrap())
    }

    /// Whether the pack has something in its store.
    fn kept(&self) -> bool {
        self.site.simulation.endpoint.snapshot().count("pack_values") > 0
    }
}

#[tokio::test]
async fn plan_tells_what_a_task_would_do_outside_and_does_none_of_it() {
    let world = World::new("host", "files", json!({})).await;
    let before = world.seen();
    assert_eq!(before, (false, Vec::new(), vec![String::from("eager/place"), String::from("eager/url")]));
    let plan = world.plan().await;
    let send = format!("send POST {}", world.url());
    assert_eq!(plan.effects, [&send, "write files/eager", "read files/eager", "run touch eager"]);
    assert_eq!(names(&plan.steps), [("stage:st", "finished"), ("eager", "finished")]);
    assert!(plan.steps[1].log.contains(&format!("not done in a plan: {send}")), "{:?}", plan.steps[1]);
    assert_eq!((plan.complete, world.seen(), world.kept()), (true, before, false));
}

#[tokio::test]
async fn task_that_cannot_go_on_without_what_a_plan_keeps_back_says_so() {
    let world = World::new("host", "files", json!({"eager/insists": true})).await;
    let plan = world.plan().await;
    assert_eq!((names(&plan.steps)[1], plan.complete), (("eager", "failed"), false));
    let words = format!("not done in a plan: send POST {}", world.url());
    assert!(plan.steps[1].errors[0].contains(&words), "{:?}", plan.steps[1]);
}

#[tokio::test]
async fn same_task_does_all_of_it_when_it_is_no_plan() {
    let world = World::new("host", "files", json!({})).await;
    let service = world.service.try_clone().unwrap();
    let asked = std::thread::spawn(move || {
        service.set_nonblocking(false).unwrap();
        let (mut stream, _) = service.accept().unwrap();
        let mut words = [0; 1024];
        let length = stream.read(&mut words).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&words[..length]).into_owned()
    });
    std::fs::create_dir_all(world.site.simulation.endpoint.options.file_root.join("files")).unwrap();
    world.site.simulation.change("machines", &world.machine, &json!({"Workflow": "wf"})).await.unwrap();
    let steps = world.site.simulation.run(&world.machine).await.unwrap();
    assert_eq!(names(&steps)[1], ("eager", "finished"), "{:?}", steps[1]);
    assert!(asked.join().unwrap().starts_with("POST /in "));
    world.service.set_nonblocking(true).unwrap();
    assert_eq!((world.seen().1.len(), world.kept()), (1, true), "{:?}", steps[1]);
    // The endpoint runs no programs, whoever asks.
    assert_eq!(world.site.simulation.param(&world.machine, "eager/refusals"), Some(json!(1)));
}

#[tokio::test]
async fn plan_runs_what_an_agent_would_run_and_makes_up_nothing_that_only_the_machine_knows() {
    for insists in [false, true] {
        let world = World::new("", "OWN", json!({"eager/insists": insists})).await;
        let before = world.seen();
        let plan = world.plan().await;
        let own = world.folder.path().display();
        let effects = [
            format!("send POST {}", world.url()),
            format!("write {own}/eager"),
            String::from("run touch eager"),
        ];
        assert_eq!(plan.effects, effects);
        let step = &plan.steps[1];
        assert_eq!((step.task.as_str(), step.state.as_str()), ("eager", "finished"));
        let does = [
            String::from("the agent would run the component of task eager"),
            format!("would read {own}/eager"),
            String::from("would set param eager/refusals, to what only the machine can tell"),
        ];
        assert_eq!(step.does[..3], does);
        let rest = if insists {
            assert!(step.does[3].starts_with("here it ended with: "), "{:?}", step.does);
            "taken as done: only the machine can answer what it asked for"
        } else {
            "only the machine can tell whether it ends like this there"
        };
        assert_eq!(step.does.last().unwrap(), rest);
        assert!(step.log.contains("the store of a pack is on the endpoint, which lends it to no agent"));
        assert_eq!((plan.complete, world.seen(), world.kept()), (true, before, false));
    }
}

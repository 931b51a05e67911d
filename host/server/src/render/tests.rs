mod debian;
mod variants;

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use formwork_core::params::Found;
use formwork_model::{ArchInfo, Job, Machine, ObjectsExt, Param, Preference, Profile};
use formwork_store::Snapshot;
use serde_json::{Value as Json, json};

use super::*;
use crate::files::FileRoot;

const UUID: &str = "c0ffee00-77aa-4c3d-9e1f-525400770001";

/// An endpoint at 10.0.0.1 that counts the tokens that it gave.
#[derive(Default)]
struct Here(AtomicUsize);

impl Site for Here {
    fn address(&self) -> IpAddr {
        IpAddr::V4([10, 0, 0, 1].into())
    }

    fn file_url(&self) -> String {
        String::from("http://10.0.0.1:8091")
    }

    fn api_url(&self) -> String {
        String::from("https://10.0.0.1:8092")
    }

    fn file_root(&self) -> PathBuf {
        PathBuf::from("/srv/boot")
    }

    fn info(&self) -> Json {
        json!({"Id": "here"})
    }

    fn used(&self, _: &Snapshot, _: &str, found: Found) -> Option<Json> {
        Some(found.value)
    }

    fn unknown_token(&self, _: &Snapshot) -> String {
        self.0.fetch_add(1, Ordering::Relaxed);
        String::from("unknown-token")
    }

    fn machine_token(&self, _: &Snapshot, machine: &Machine, forever: bool) -> String {
        self.0.fetch_add(1, Ordering::Relaxed);
        format!("token-{}-{forever}", machine.name)
    }
}

fn entry(name: &str, path: &str, contents: &str) -> TemplateInfo {
    TemplateInfo {
        name: name.into(),
        path: path.into(),
        contents: contents.into(),
        ..TemplateInfo::default()
    }
}

fn machine() -> Machine {
    Machine {
        uuid: UUID.into(),
        name: "m1.example".into(),
        address: "10.0.0.50".into(),
        arch: "amd64".into(),
        hardware_addrs: vec!["52:54:00:77:00:01".into(), "52:54:00:77:00:02".into()],
        boot_env: "discovery".into(),
        stage: "discover".into(),
        secret: "hidden".into(),
        profiles: vec!["site".into()],
        params: [("kernel-console".into(), json!("ttyS0"))].into(),
        ..Machine::default()
    }
}

fn discovery() -> BootEnv {
    BootEnv {
        name: "discovery".into(),
        kernel: "vmlinuz".into(),
        initrds: vec!["initrd.img".into(), "more.img".into()],
        boot_params: "console={{.Param \"kernel-console\"}} endpoint={{.ApiURL}}".into(),
        templates: vec![
            entry(
                "ipxe-mac",
                "{{.Machine.MacAddr \"ipxe\"}}.ipxe",
                "#!ipxe\nkernel {{.Env.PathFor \"http\" .Env.Kernel}} {{.BootParams}}\n",
            ),
            entry("ipxe-ip", "{{.Machine.Address}}.ipxe", "chain {{.Machine.MacAddr \"raw\"}}.ipxe"),
            entry(
                "pxelinux",
                "pxelinux.cfg/{{.Machine.MacAddr \"pxelinux\"}}",
                "{{template \"common.tmpl\" .}}",
            ),
        ],
        ..BootEnv::default()
    }
}

/// A store with a machine in `discovery` and its objects, and what changes them.
struct Case {
    store: Store,
    renderer: Renderer,
    site: Arc<dyn Site>,
}

impl Case {
    fn new(more: Vec<Arc<dyn Object>>) -> Self {
        let shared = TemplateObject {
            id: "common.tmpl".into(),
            contents: "common to {{.Machine.ShortName}}".into(),
            ..TemplateObject::default()
        };
        let site = Profile {
            name: "site".into(),
            params: [("list".into(), json!(["b"])), ("greeting".into(), json!("hello {{.Machine.Name}}"))]
                .into(),
            ..Profile::default()
        };
        let mut objects: Vec<Arc<dyn Object>> =
            vec![Arc::new(machine()), Arc::new(discovery()), Arc::new(shared), Arc::new(site)];
        objects.push(Arc::new(Stage { name: "discover".into(), ..Stage::default() }));
        objects.extend(more);
        Self { store: Store::memory(objects), renderer: Renderer::default(), site: Arc::new(Here::default()) }
    }

    async fn put(&self, object: impl Object) {
        let object = object.boxed().shared();
        let written = self.store.write("user:me", move |tx| {
            tx.put(object);
            Ok::<(), ()>(())
        });
        written.await.unwrap();
    }

    fn file(&self, path: &str) -> Option<Result<BootFile, RenderProblem>> {
        let located = self.renderer.locate(&self.site, &self.store, path)?;
        Some(self.renderer.render(&located, &self.site, &self.store)?.map(|rendered| rendered.file))
    }

    fn text(&self, path: &str) -> String {
        match self.file(path) {
            Some(Ok(BootFile::Text(text))) => text,
            other => panic!("{path}: {other:?}"),
        }
    }

    /// Renders a text for the machine.
    fn render(&self, text: &str) -> Result<String, String> {
        let objects = self.store.snapshot();
        let about = scene::About::machine(&objects, objects.get::<Machine>(UUID).unwrap());
        let scene = Arc::new(scene::Scene::new(&self.site, &objects, about));
        let shared = self.renderer.shared.of(&objects);
        let compiled = compiled::Compiled::new("test".into(), &[entry("t", "", text)], ("", ""), &shared);
        match compiled.file(&compiled.entries[0], &scene) {
            Ok(BootFile::Text(text)) => Ok(text),
            other => Err(other.unwrap_err().to_string()),
        }
    }
}

#[tokio::test]
async fn row_016_each_network_card_has_its_own_file_and_the_machine_the_others() {
    let case = Case::new(Vec::new());
    let script = "#!ipxe\nkernel http://10.0.0.1:8091/discovery/install/vmlinuz console=ttyS0 endpoint=https://10.0.0.1:8092\n";
    assert_eq!(case.text("52:54:00:77:00:01.ipxe"), script);
    assert_eq!(case.text("/52:54:00:77:00:02.ipxe"), script);
    assert_eq!(case.text("10.0.0.50.ipxe"), "chain 52:54:00:77:00:01.ipxe");
    assert_eq!(case.text("pxelinux.cfg/01-52-54-00-77-00-02"), "common to m1");
    assert!(case.file("52:54:00:77:00:03.ipxe").is_none());
    assert!(case.file("../etc/passwd").is_none());
}

#[tokio::test]
async fn paths_follow_the_machine_and_its_boot_environment() {
    let case = Case::new(Vec::new());
    assert!(case.file("10.0.0.50.ipxe").is_some());
    case.put(Machine { address: "10.0.0.51".into(), ..machine() }).await;
    assert!(case.file("10.0.0.50.ipxe").is_none());
    assert!(case.file("10.0.0.51.ipxe").is_some());
    case.put(Machine { address: String::new(), hardware_addrs: Vec::new(), ..machine() }).await;
    assert!(case.file(".ipxe").is_none(), "a machine without an address has no file under it");
    assert!(case.file("52:54:00:77:00:01.ipxe").is_none());
    case.put(machine()).await;
    let mut env = discovery();
    env.templates[0].contents = "changed".into();
    env.templates.remove(1);
    case.put(env).await;
    assert_eq!(case.text("52:54:00:77:00:01.ipxe"), "changed");
    assert!(case.file("10.0.0.50.ipxe").is_none());
    let (uuid, mac) = ("c0ffee00-77aa-4c3d-9e1f-525400770002", "52:54:00:77:00:03");
    let other = Machine { uuid: uuid.into(), hardware_addrs: vec![mac.into()], ..machine() };
    case.put(Machine { name: "m2".into(), address: String::new(), ..other }).await;
    assert_eq!(case.text("52:54:00:77:00:03.ipxe"), "changed");
    case.store.write("user:me", |tx| tx.delete("machines", uuid).map(|_| ()).ok_or(())).await.unwrap();
    assert!(case.file("52:54:00:77:00:03.ipxe").is_none());
    case.put(Machine { boot_env: "gone".into(), ..machine() }).await;
    assert!(case.file("52:54:00:77:00:01.ipxe").is_none());
}

#[tokio::test]
async fn shared_template_that_changes_is_rendered_anew() {
    let case = Case::new(Vec::new());
    assert_eq!(case.text("pxelinux.cfg/01-52-54-00-77-00-01"), "common to m1");
    let contents = String::from("new words");
    case.put(TemplateObject { id: "common.tmpl".into(), contents, ..TemplateObject::default() }).await;
    assert_eq!(case.text("pxelinux.cfg/01-52-54-00-77-00-01"), "new words");
}

#[tokio::test]
async fn path_that_looks_at_a_parameter_follows_it() {
    let env = BootEnv {
        name: "other".into(),
        templates: vec![entry("x", "{{.Param \"place\"}}/file", "x")],
        ..BootEnv::default()
    };
    let case = Case::new(vec![Arc::new(env)]);
    case.put(Machine { boot_env: "other".into(), ..machine() }).await;
    let site = |place: &str| Profile {
        name: "site".into(),
        params: [("place".into(), json!(place))].into(),
        ..Profile::default()
    };
    case.put(site("here")).await;
    assert!(case.file("here/file").is_some());
    case.put(site("there")).await;
    assert!(case.file("here/file").is_none());
    assert!(case.file("there/file").is_some());
}

#[tokio::test]
async fn unknown_machines_have_files_without_a_machine() {
    let env = BootEnv {
        name: "unknown".into(),
        only_unknown: true,
        templates: vec![
            entry(
                "ipxe",
                "default.ipxe",
                "{{if .Machine}}known{{else}}{{.GenerateToken}} at {{.ProvisionerAddress}}{{end}}",
            ),
            entry("grub", "grub/grub.cfg", "{{.Machine.Name}}"),
        ],
        ..BootEnv::default()
    };
    let case = Case::new(vec![Arc::new(env)]);
    assert!(case.file("default.ipxe").is_none());
    case.put(Preference { name: "unknownBootEnv".into(), val: "unknown".into(), ..Preference::default() })
        .await;
    assert_eq!(case.text("default.ipxe"), "unknown-token at 10.0.0.1");
    assert!(matches!(case.file("grub/grub.cfg"), Some(Err(RenderProblem::Render(_)))));
}

#[tokio::test]
async fn required_param_without_a_value_is_named() {
    let env = BootEnv { required_params: vec!["disk".into(), "kernel-console".into()], ..discovery() };
    let case = Case::new(Vec::new());
    case.put(env).await;
    let problem = case.file("10.0.0.50.ipxe").unwrap().unwrap_err().to_string();
    assert_eq!(problem, "bootenvs:discovery: required params without a value: disk");
    let default = Param { name: "disk".into(), schema: json!({"default": "/dev/sda"}), ..Param::default() };
    case.put(default).await;
    assert!(case.file("10.0.0.50.ipxe").unwrap().is_ok());
}

#[tokio::test]
async fn link_names_another_file_and_kexec_is_there_by_itself() {
    let mut env = discovery();
    env.templates = vec![TemplateInfo {
        link: "{{.Env.PathFor \"tftp\" \"boot.img\"}}".into(),
        ..entry("link", "machines/{{.Machine.UUID}}/boot", "")
    }];
    let case = Case::new(Vec::new());
    case.put(env).await;
    let link = case.file(&format!("machines/{UUID}/boot")).unwrap().unwrap();
    assert_eq!(link, BootFile::Link("discovery/install/boot.img".into()));
    let kexec = case.text(&format!("machines/{UUID}/kexec"));
    let lines: Vec<&str> = kexec.lines().collect();
    assert_eq!(lines[0], "kernel http://10.0.0.1:8091/discovery/install/vmlinuz");
    assert_eq!(lines[2], "initrd http://10.0.0.1:8091/discovery/install/more.img");
    assert_eq!(lines[3], "params console=ttyS0 endpoint=https://10.0.0.1:8092");
    assert!(case.file("machines/none/kexec").is_none());
}

#[tokio::test]
async fn root_object_answers_what_the_reference_names() {
    let case = Case::new(Vec::new());
    for (text, expected) in [
        (
            "{{.Machine.Path}} {{.Machine.HexAddress}}",
            "machines/c0ffee00-77aa-4c3d-9e1f-525400770001 0A000032",
        ),
        ("{{.Machine.Url}}", "http://10.0.0.1:8091/machines/c0ffee00-77aa-4c3d-9e1f-525400770001"),
        ("{{.Machine.MacAddr \"rpi4\"}} {{.Machine.MacAddr}}", "52-54-00-77-00-01 52:54:00:77:00:01"),
        (
            "{{.Machine.HasProfile \"site\"}} {{.Machine.HasProfile \"x\"}} {{.Machine.Stage}}",
            "true false discover",
        ),
        ("[{{.Machine.Secret}}] {{index .Machine.Profiles 0}}", "[] site"),
        (
            "{{.Env.PathFor \"disk\" \"a\"}} {{.Env.InstallUrl}}",
            "/srv/boot/discovery/install/a http://10.0.0.1:8091/discovery/install",
        ),
        ("{{.Env.PathForArch \"tftp\" \"a\" \"aarch64\"}}", "discovery/arm64/install/a"),
        ("{{.Env.JoinInitrds \"tftp\"}}", "discovery/install/initrd.img,discovery/install/more.img"),
        ("{{range .Env.InitrdsFor \"amd64\"}}{{.}};{{end}} {{.Env.OS.FamilyType}}", "initrd.img;more.img; "),
        (
            "{{.ParamExists \"list\"}} {{.ParamExists \"none\"}} {{.ParamAsJSON \"list\"}}",
            "true false [\"b\"]",
        ),
        ("{{.ParamExpand \"greeting\"}}|{{.Param \"greeting\"}}", "hello m1.example|hello {{.Machine.Name}}"),
        ("{{.StringExpand \"{{.Machine.Arch}}\"}} {{.CallTemplate \"common.tmpl\" .}}", "amd64 common to m1"),
        ("{{.GenerateToken}} {{.GenerateInfiniteToken}}", "token-m1.example-false token-m1.example-true"),
        ("{{.ParseURL \"host\" .ApiURL}} {{.Info.Id}} {{.Stage.Name}}", "10.0.0.1:8092 here discover"),
        ("{{.ParamCompose \"list\" | len}} {{.ParamAsYAML \"list\"}}", "1 - b\n"),
    ] {
        assert_eq!(case.render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_offered_is_said_by_name() {
    let case = Case::new(Vec::new());
    for (text, words) in [
        ("{{.Param \"none\"}}", "param `none` has no value and no default"),
        ("{{.Repos \"a\"}}", "`.Repos` is not offered"),
        ("{{.Machine.Beeblebrox}}", "Beeblebrox"),
        ("{{.Machine.MacAddr \"x\"}}", "`x` is not one of raw, pxe"),
        ("{{template \"gone\" .}}", "\"gone\" not defined"),
        ("{{.Env.PathFor \"ftp\" \"a\"}}", "`ftp` is not one of tftp, http, disk"),
        ("{{.ParamExpand \"loop\"}}", "template `loop` line 1 column 3 at"),
    ] {
        let looping = [("loop".into(), json!("{{.ParamExpand \"loop\"}}"))];
        case.put(Profile { name: "site".into(), params: looping.into(), ..Profile::default() }).await;
        let error = case.render(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[tokio::test]
async fn machine_is_found_by_each_of_its_cards_with_the_script_of_that_card() {
    let case = Case::new(Vec::new());
    let found = |mac: &str| case.renderer.machine_of(&case.site, &case.store, mac);
    let second = found("52:54:00:77:00:02").unwrap();
    assert_eq!(second, KnownMachine { uuid: UUID.into(), script: Some("52:54:00:77:00:02.ipxe".into()) });
    assert_eq!(found("52:54:00:77:00:03"), None);
    case.put(Machine { boot_env: String::new(), ..machine() }).await;
    assert_eq!(found("52:54:00:77:00:01").unwrap().script, None);
}

#[tokio::test]
async fn actions_of_a_task_come_in_order_and_every_problem_is_told() {
    let case = Case::new(Vec::new());
    let mut windows = entry("win", "", "no");
    windows.meta = [("OS".into(), "windows".into())].into();
    let templates = vec![
        entry("file", "/etc/{{.Machine.ShortName}}", "of {{.Task.Name}} on {{.Task.TargetOS}}"),
        windows,
        entry("run", "", "#!/bin/sh\n{{template \"file\" .}}\n"),
    ];
    let task = Arc::new(Task { name: "setup".into(), templates, ..Task::default() });
    let objects = case.store.snapshot();
    let folder = tempfile::tempdir().unwrap();
    let files = FileRoot::new(folder.path()).unwrap();
    let act = |task: &Arc<Task>| {
        let compiled = compiled::Compiled::new(
            "tasks:setup".into(),
            &task.templates,
            ("", ""),
            &case.renderer.shared.of(&objects),
        );
        let about = scene::About {
            task: Some(Arc::clone(task)),
            target_os: "linux".into(),
            job: Some(Arc::new(Job::default())),
            ..scene::About::machine(&objects, objects.get::<Machine>(UUID).unwrap())
        };
        actions::render_all(&case.site, &objects, &files, &compiled, &about)
    };
    let actions = act(&task).unwrap();
    let shown: Vec<_> =
        actions.iter().map(|action| (action.path.as_str(), action.content.as_str())).collect();
    assert_eq!(shown, [("/etc/m1", "of setup on linux"), ("", "#!/bin/sh\nof setup on linux\n")]);
    let broken = vec![entry("a", "", "{{.Param \"x\"}}"), entry("b", "", "{{.Param \"y\"}}")];
    let problems = act(&Arc::new(Task { templates: broken, ..task.as_ref().clone() })).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("tasks:setup a") && problems[1].contains("`y`"), "{problems:?}");
}

#[test]
fn template_that_does_not_parse_is_a_problem_of_its_object() {
    let objects = formwork_store::Store::memory(Vec::new()).snapshot();
    let problems = |object: &dyn Object| template_problems(&objects, object);
    let broken = Task { name: "t".into(), templates: vec![entry("x", "{{", "{{if}}")], ..Task::default() };
    let found = problems(&broken);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("t: template `x` line 1"), "{found:?}");
    assert_eq!(problems(&discovery()), Vec::<String>::new());
    let marks = TemplateObject {
        id: "other".into(),
        contents: "{{ [[.Machine.Name]]".into(),
        start_delimiter: "[[".into(),
        end_delimiter: "]]".into(),
        ..TemplateObject::default()
    };
    assert_eq!(problems(&marks), Vec::<String>::new());
    assert_eq!(problems(&BootEnv { boot_params: "{{end}}".into(), ..discovery() }).len(), 1);
    let mut env = discovery();
    let arm = ArchInfo { boot_params: "quiet\n{{.Param.rack-name}}".into(), ..ArchInfo::default() };
    env.os.supported_architectures.insert("arm64".into(), arm);
    let found = problems(&env);
    assert_eq!(found.len(), 1, "{found:?}");
    let place = "template `BootParams of arm64` line 2 column 14 at `{{.Param.rack-name}}`: bad character";
    assert!(found[0].contains(place), "{found:?}");
    assert!(
        found[0].ends_with("hint: a name with a dash stands in quotes: `.Param \"rack-name\"`"),
        "{found:?}"
    );
}

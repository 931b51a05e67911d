//! What an agent does for a job (drp-api.md 9.4).

use std::{io::Read, sync::Arc};

use formwork_model::{ComponentRecord, Job, JobAction, Machine, Meta, ObjectsExt, Task, TemplateInfo};
use formwork_store::Snapshot;
use formwork_template::Confidential;
use serde_json::Value;

use super::{
    BootFile, RenderProblem,
    compiled::{Compiled, Entry},
    scene::{About, Scene, Site},
};
use crate::{content::component_of, endpoint::Endpoint, files::FileRoot};

/// The longest file that a link of a task may name, in bytes: what a render may yield.
const MAX_LINKED_BYTES: u64 = 8 << 20;

/// Returns the actions of a job, for one operating system when it is named; what is wrong otherwise, one message a
/// problem. A job for a special entry of the task list has none.
pub(crate) fn job_actions(
    endpoint: &Arc<Endpoint>,
    snapshot: &Snapshot,
    job: &Job,
    os: Option<&str>,
) -> Result<Vec<JobAction>, Vec<String>> {
    if job.task.contains(':') {
        return Ok(Vec::new());
    }
    let (task, machine) = subjects(snapshot, job)?;
    if !task.component.is_empty() {
        let site: Arc<dyn Site> = Arc::clone(endpoint) as _;
        lacking(&site, snapshot, job, &task, &machine)?;
        let record = component_of(&endpoint.library, snapshot, job, &task);
        let record = record
            .ok_or_else(|| vec![format!("{}: component {} is not installed", task.name, task.component)])?;
        return Ok(vec![component_action(&task, &record)]);
    }
    let site: Arc<dyn Site> = Arc::clone(endpoint) as _;
    let shared = endpoint.renderer.shared.of(snapshot);
    let compiled = Compiled::new(format!("tasks:{}", task.name), &task.templates, ("", ""), &shared);
    lacking(&site, snapshot, job, &task, &machine)?;
    let mut about = About::job(snapshot, machine, job);
    about.task = Some(task);
    os.unwrap_or_default().clone_into(&mut about.target_os);
    render_all(&site, snapshot, &endpoint.files, &compiled, &about)
}

/// Renders one text for a machine, as if it were a template of its stage. What it read that no error about the text may
/// quote goes into `confidential`.
pub(crate) fn text_for(
    endpoint: &Arc<Endpoint>,
    snapshot: &Snapshot,
    machine: Arc<Machine>,
    entry: TemplateInfo,
    confidential: &Arc<Confidential>,
) -> Result<String, Vec<String>> {
    let site: Arc<dyn Site> = Arc::clone(endpoint) as _;
    let shared = endpoint.renderer.shared.of(snapshot);
    let compiled = Compiled::new(format!("machines:{}", machine.uuid), &[entry], ("", ""), &shared);
    let about = About { confidential: Arc::clone(confidential), ..About::machine(snapshot, machine) };
    let rendered = render_all(&site, snapshot, &endpoint.files, &compiled, &about)?;
    Ok(rendered.into_iter().map(|action| action.content).collect())
}

/// The texts of a value that are rendered at most, and how deep they lie.
const MAX_EXPANDED: usize = 1_000;
const MAX_EXPANDED_DEPTH: usize = 64;

/// Renders every text in a value for a machine; the keys of maps stay as they are (drp-behaviour.md 1.5).
///
/// `is_open` says that texts of secure params are among them in the clear.
///
/// # Errors
///
/// A text that is no template or does not render, or too many of them. What is wrong with a text is told in words of that
/// text, so it is withheld when `is_open`.
pub(crate) fn expanded(
    endpoint: &Arc<Endpoint>,
    snapshot: &Snapshot,
    machine: &Arc<Machine>,
    value: Value,
    is_open: bool,
) -> Result<Value, Vec<String>> {
    let mut left = MAX_EXPANDED;
    let mut render = |contents: String| {
        left = left
            .checked_sub(1)
            .ok_or_else(|| vec![format!("{}: more than {MAX_EXPANDED} texts to expand", machine.uuid)])?;
        let entry = TemplateInfo { name: String::from("expand"), contents, ..TemplateInfo::default() };
        let rendered = text_for(endpoint, snapshot, Arc::clone(machine), entry, &Arc::default());
        rendered.map_err(|problems| if is_open { vec![unspoken(machine)] } else { problems })
    };
    walked(value, &mut render, MAX_EXPANDED_DEPTH)
}

fn unspoken(machine: &Machine) -> String {
    format!(
        "machines:{}: a text does not render; what is wrong is withheld, as it would quote what was decoded\nhint: without \
         `decode` it is told for params that are not secure",
        machine.uuid
    )
}

fn walked(
    value: Value,
    render: &mut impl FnMut(String) -> Result<String, Vec<String>>,
    depth: usize,
) -> Result<Value, Vec<String>> {
    let Some(below) = depth.checked_sub(1) else {
        return Err(vec![format!("more than {MAX_EXPANDED_DEPTH} levels to expand")]);
    };
    Ok(match value {
        Value::String(text) if text.contains("{{") => Value::String(render(text)?),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| walked(item, render, below)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let walk = |(name, member)| Ok((name, walked(member, render, below)?));
            Value::Object(members.into_iter().map(walk).collect::<Result<_, Vec<String>>>()?)
        }
        other => other,
    })
}

/// Renders all entries that are for the operating system, and collects what is wrong with any.
pub(super) fn render_all(
    site: &Arc<dyn Site>,
    snapshot: &Snapshot,
    files: &FileRoot,
    compiled: &Compiled,
    about: &About,
) -> Result<Vec<JobAction>, Vec<String>> {
    let (mut actions, mut problems) = (Vec::new(), Vec::new());
    for entry in compiled.entries.iter().filter(|entry| is_for(&entry.info, &about.target_os)) {
        let about = About { entry: Some(Arc::clone(&entry.info)), ..about.clone() };
        let scene = Arc::new(Scene::new(site, snapshot, about));
        match action(compiled, entry, &scene, files) {
            Ok(action) => actions.push(action),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(actions) } else { Err(problems) }
}

/// Returns the messages for required parameters of a task that a machine does not have.
pub(crate) fn lacking(
    site: &Arc<dyn Site>,
    snapshot: &Snapshot,
    job: &Job,
    task: &Task,
    machine: &Arc<Machine>,
) -> Result<(), Vec<String>> {
    let about = About::job(snapshot, Arc::clone(machine), job);
    let names = Scene::new(site, snapshot, about).lacking(&task.required_params);
    if names.is_empty() {
        return Ok(());
    }
    Err(names.iter().map(|name| format!("{}: Required Param {name} has no value", task.name)).collect())
}

/// Returns the task and the machine of a job.
pub(crate) fn subjects(snapshot: &Snapshot, job: &Job) -> Result<(Arc<Task>, Arc<Machine>), Vec<String>> {
    let task = snapshot.get::<Task>(&job.task);
    let machine = Machine::with_uuid(snapshot, &job.machine).map(|(_, machine)| machine);
    let mut missing = Vec::new();
    if task.is_none() {
        missing.push(format!("Task {} does not exist", job.task));
    }
    if machine.is_none() {
        missing.push(format!("Machine {} does not exist", job.machine));
    }
    task.zip(machine).ok_or(missing)
}

/// Tells whether an entry is for an operating system; without a name all are.
fn is_for(entry: &TemplateInfo, os: &str) -> bool {
    let listed = entry.meta.get("OS").map(String::as_str).unwrap_or_default();
    let mut words = listed.split(',').map(str::trim).filter(|word| !word.is_empty()).peekable();
    os.is_empty()
        || words.peek().is_none()
        || words.any(|word| word.eq_ignore_ascii_case(os) || word.eq_ignore_ascii_case("any"))
}

fn action(
    compiled: &Compiled,
    entry: &Entry,
    scene: &Arc<Scene>,
    files: &FileRoot,
) -> Result<JobAction, String> {
    let said = |problem: RenderProblem| format!("{} {}: {problem}", compiled.owner, entry.info.name);
    let path = compiled.path(entry, scene).map_err(said)?;
    let content = match compiled.file(entry, scene).map_err(said)? {
        BootFile::Text(text) => text,
        BootFile::Link(link) => linked(files, &link).map_err(|why| {
            let link = scene.confidential().concealed(&link).unwrap_or(link);
            format!("{} {}: link `{link}` {why}", compiled.owner, entry.info.name)
        })?,
    };
    Ok(JobAction { name: entry.info.name.clone(), path, content, meta: entry.info.meta.clone() })
}

/// Reads a short text file of the file root.
fn linked(files: &FileRoot, link: &str) -> Result<String, String> {
    let path = files.find(link).ok_or("is not a file of this endpoint")?;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read =
        file.take(MAX_LINKED_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let fits = u64::try_from(read).is_ok_and(|read| read <= MAX_LINKED_BYTES);
    if fits { Ok(text) } else { Err(format!("is longer than {MAX_LINKED_BYTES} bytes")) }
}

/// Tells our agent which component to run, and any other one that it cannot.
fn component_action(task: &Task, record: &ComponentRecord) -> JobAction {
    let words = format!(
        "task {} is the WebAssembly component {}; only `formwork agent` can run it",
        task.name, task.component
    );
    // Within single quotes a shell reads nothing but their end.
    let content = format!("#!/bin/sh\necho '{}' >&2\nexit 1\n", words.replace('\'', ""));
    let limits: Vec<String> = record.limits.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let meta = [
        ("component", task.component.clone()),
        ("digest", record.digest.clone()),
        ("grants", record.grants.join("\n")),
        ("limits", limits.join("\n")),
    ];
    JobAction {
        name: task.component.clone(),
        path: String::new(),
        content,
        meta: meta.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Meta>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_is_for_the_systems_that_it_lists_and_without_a_list_for_all() {
        let entry = |os: &str| TemplateInfo {
            meta: [(String::from("OS"), os.to_owned())].into_iter().filter(|_| !os.is_empty()).collect(),
            ..TemplateInfo::default()
        };
        assert!(is_for(&entry(""), "linux") && is_for(&entry("linux, darwin"), "Darwin"));
        assert!(is_for(&entry("windows"), "") && is_for(&entry("any"), "esxi"));
        assert!(!is_for(&entry("windows"), "linux"));
    }

    #[test]
    fn agent_of_another_make_fails_with_words_and_ours_learns_what_to_run() {
        let task = Task { name: "greet".into(), component: "core/greet".into(), ..Task::default() };
        let record = ComponentRecord {
            digest: "abc".into(),
            grants: vec!["params: read a".into(), "params: write b".into()],
            limits: [("fuel".to_owned(), 5), ("wall-time-ms".to_owned(), 7)].into(),
            ..ComponentRecord::default()
        };
        let action = component_action(&task, &record);
        assert_eq!(action.meta["limits"], "fuel: 5\nwall-time-ms: 7");
        assert_eq!(action.meta["grants"], "params: read a\nparams: write b");
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, &action.content).unwrap();
        let output = std::process::Command::new("sh").arg(&script).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains("core/greet") && words.contains("`formwork agent`"), "{words}");
    }
}

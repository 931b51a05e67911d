//! What templates become: the files that machines boot from, and what agents run.
//!
//! | module | holds |
//! |---|---|
//! | `scene` | what one render is about: the objects, the machine, who includes the text |
//! | `facing` | the endpoint as one of its networks sees it |
//! | `root`, `machine`, `environment`, `members` | the root object of templates and what hangs below it (drp-api.md 10.2) |
//! | `shared`, `compiled` | parsed templates, kept until an object behind them changes |
//! | `index`, `builder`, `paths`, `uuids` | which path is whose file, kept up with the feed |
//! | `variants` | boot environments that a parameter changed for some machines |
//! | `actions` | what an agent does for a job (drp-api.md 9.4) |
//!
//! Nothing rendered is stored: a file is rendered for each request that asks for it, with the parameters of that
//! moment (drp-behaviour.md 5.5).

mod actions;
mod builder;
mod compiled;
mod environment;
mod facing;
mod index;
mod machine;
mod members;
mod paths;
mod root;
mod scene;
mod shared;
mod uuids;
mod variants;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use formwork_model::{
    BootEnv, Machine, Object, Objects, ObjectsExt, Stage, Task, Template as TemplateObject, TemplateInfo,
};
use formwork_store::Store;
use formwork_template::{Delimiters, ParseError, RenderError, Template};
use tokio::sync::Notify;

pub(crate) use self::{
    actions::{expanded, job_actions, lacking, subjects, text_for},
    facing::facing,
    scene::Site,
};
use self::{index::Index, shared::SharedTemplates};
use crate::endpoint::Endpoint;

/// A file that exists only while it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BootFile {
    /// Its text.
    Text(String),
    /// Another file stands for it: a path in the same space, or a whole URL.
    Link(String),
}

/// A file as it was rendered for one request.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// What it is.
    pub(crate) file: BootFile,
    /// True when the render read a token or the value of a secure parameter: the file may hold it.
    pub(crate) read_secrets: bool,
}

/// A file of the dynamic file space that was found and is not rendered yet.
pub(crate) struct Located(Place);

enum Place {
    /// What `kexec` needs to start the boot environment of a machine.
    Kexec(Arc<str>),
    /// The file of a template.
    Of(index::Found),
}

impl Located {
    /// Returns the machine that the file is for; nothing when it is for those that are not known.
    pub(crate) fn machine(&self) -> Option<Arc<str>> {
        match &self.0 {
            Place::Kexec(uuid) => Some(Arc::clone(uuid)),
            Place::Of(found) => found.machine(),
        }
    }
}

/// Why a text could not be rendered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderProblem {
    /// The template does not parse.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The template asked for something that is not there, or took too much.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The owner names a template that does not exist.
    #[error("{owner}: there is no template `{template}`")]
    NoTemplate {
        /// The object that names it.
        owner: String,
        /// The template.
        template: String,
    },
    /// The owner needs parameters that the machine does not have.
    #[error("{owner}: required params without a value: {}", names.join(", "))]
    RequiredParams {
        /// The object that needs them.
        owner: String,
        /// Their names.
        names: Vec<String>,
    },
}

/// A machine, as the boot services see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownMachine {
    /// Its key.
    pub(crate) uuid: String,
    /// The path of the script that iPXE runs for this very card; `None` when its boot environment has none.
    pub(crate) script: Option<String>,
}

/// The parsed templates and the index of paths of one endpoint. Both follow the store by themselves.
#[derive(Default)]
pub(crate) struct Renderer {
    shared: SharedTemplates,
    index: Mutex<Option<Index>>,
    /// Machines that did not get a file, until somebody looks at them.
    failed: Mutex<BTreeSet<Arc<str>>>,
    fails: Notify,
}

impl Renderer {
    /// Finds the file at a path of the dynamic file space; `None` when there is none. Paths are the same for all who ask, so
    /// `own` is the endpoint as it names itself.
    pub(crate) fn locate(&self, own: &Arc<dyn Site>, store: &Store, path: &str) -> Option<Located> {
        let path = paths::clean(path)?;
        if let Some(uuid) = path.strip_prefix("machines/").and_then(|rest| rest.strip_suffix("/kexec"))
            && !uuid.contains('/')
        {
            return Some(Located(Place::Kexec(uuid.into())));
        }
        self.with_index(own, store, |index| index.find(&path)).map(|found| Located(Place::Of(found)))
    }

    /// Renders a file that was found, with the URLs of `site`; `None` when it is there no more.
    pub(crate) fn render(
        &self,
        located: &Located,
        site: &Arc<dyn Site>,
        store: &Store,
    ) -> Option<Result<Rendered, RenderProblem>> {
        let found = match &located.0 {
            Place::Kexec(uuid) => return paths::kexec(site, &store.snapshot(), &self.shared, uuid),
            Place::Of(found) => found,
        };
        let rendered = found.render(site, store.snapshot());
        if let (Some(Err(_)), Some(machine)) = (&rendered, found.machine()) {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(machine);
            self.fails.notify_one();
        }
        rendered
    }

    /// Waits for machines that do not get a file, and returns them.
    pub(crate) async fn failed(&self) -> impl Iterator<Item = Arc<str>> + use<> {
        self.fails.notified().await;
        std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner)).into_iter()
    }

    /// Returns why files of a machine cannot be rendered, one message a problem.
    fn problems(&self, site: &Arc<dyn Site>, store: &Store, uuid: &Arc<str>) -> Vec<String> {
        let (mut problems, files) = self.with_index(site, store, |index| index.of_machine(uuid));
        for file in files {
            if let Some(Err(problem)) = file.render(site, store.snapshot()) {
                problems.push(format!("{} failed: {problem}", file.owner()));
            }
        }
        problems.dedup();
        problems
    }

    /// Returns the machine that has a network card.
    pub(crate) fn machine_of(&self, site: &Arc<dyn Site>, store: &Store, mac: &str) -> Option<KnownMachine> {
        self.with_index(site, store, |index| index.machine_of(mac))
    }

    /// Runs something over an index that knows everything that is committed.
    fn with_index<T>(&self, site: &Arc<dyn Site>, store: &Store, act: impl FnOnce(&Index) -> T) -> T {
        let mut slot = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let index = slot.get_or_insert_with(|| Index::new(store));
        index.follow(site, store, &self.shared);
        act(index)
    }
}

/// Finds the file at a path of the dynamic file space; `None` when there is none (drp-behaviour.md 5.5).
pub(crate) fn locate(endpoint: &Arc<Endpoint>, path: &str) -> Option<Located> {
    let own: Arc<dyn Site> = Arc::clone(endpoint) as _;
    endpoint.renderer.locate(&own, &endpoint.store, path)
}

/// Returns why files of a machine cannot be rendered: the object that has the template, and what is wrong.
pub(crate) fn problems(endpoint: &Arc<Endpoint>, uuid: &Arc<str>) -> Vec<String> {
    let objects = endpoint.snapshot();
    let Some(machine) = objects.get::<Machine>(uuid) else { return Vec::new() };
    let env = formwork_core::boot::env_for(&objects, Some(&machine));
    let stage = objects.get::<Stage>(&machine.stage);
    // Most machines have no files most of the time; for these nothing is indexed.
    if env.is_none_or(|env| env.templates.is_empty()) && stage.is_none_or(|stage| stage.templates.is_empty())
    {
        return Vec::new();
    }
    let site: Arc<dyn Site> = Arc::clone(endpoint) as _;
    endpoint.renderer.problems(&site, &endpoint.store, uuid)
}

/// Returns what is wrong with the templates in an object by themselves, one message a problem.
///
/// Names that they include are not looked up: those may come later.
pub(crate) fn template_problems(_objects: &dyn Objects, object: &dyn Object) -> Vec<String> {
    let any = object.as_any();
    if let Some(template) = any.downcast_ref::<TemplateObject>() {
        let delimiters = Delimiters::new(&template.start_delimiter, &template.end_delimiter);
        let parsed = Template::parse_between(&template.id, &template.contents, &delimiters);
        return parsed.err().map(|error| format!("{}: {error}", template.id)).into_iter().collect();
    }
    if let Some(bootenv) = any.downcast_ref::<BootEnv>() {
        let marks = (bootenv.start_delimiter.as_str(), bootenv.end_delimiter.as_str());
        let mut found = entry_problems(&bootenv.name, &bootenv.templates, marks);
        let delimiters = Delimiters::new(marks.0, marks.1);
        let of_archs = bootenv.os.supported_architectures.iter();
        let texts = of_archs.map(|(arch, info)| (format!("BootParams of {arch}"), &info.boot_params));
        for (name, text) in texts.chain([(String::from("BootParams"), &bootenv.boot_params)]) {
            let params = Template::parse_between(&name, text, &delimiters);
            found.extend(params.err().map(|error| format!("{}: {error}", bootenv.name)));
        }
        return found;
    }
    if let Some(stage) = any.downcast_ref::<Stage>() {
        return entry_problems(&stage.name, &stage.templates, ("", ""));
    }
    any.downcast_ref::<Task>()
        .map(|task| entry_problems(&task.name, &task.templates, ("", "")))
        .unwrap_or_default()
}

fn entry_problems(key: &str, entries: &[TemplateInfo], marks: (&str, &str)) -> Vec<String> {
    let mut found = Vec::new();
    for entry in entries {
        let delimiters = compiled::delimiters(entry, marks);
        for text in [&entry.path, &entry.contents, &entry.link] {
            let parsed = Template::parse_between(&entry.name, text, &delimiters);
            found.extend(parsed.err().map(|error| format!("{key}: {error}")));
        }
    }
    found
}

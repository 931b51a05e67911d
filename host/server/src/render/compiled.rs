//! The template entries of a boot environment, stage or task, parsed.

use std::sync::Arc;

use formwork_model::{BootEnv, TemplateInfo};
use formwork_template::{Delimiters, ParseError, Template, TemplateSet, Value, render};

use super::{
    BootFile, RenderProblem, Rendered,
    root::Root,
    scene::{Scene, options},
};

/// Words in a path by which it may depend on more than the machine, its boot environment and its stage.
const LOOKS_ELSEWHERE: &[&str] = &["Param", "template", "Expand", "Template"];

/// The entries of one object, which may include each other by name.
pub(super) struct Compiled {
    /// The object, for messages.
    pub(super) owner: String,
    /// Its entries in order.
    pub(super) entries: Vec<Entry>,
    set: TemplateSet,
}

/// One entry.
pub(super) struct Entry {
    /// The entry as it was written.
    pub(super) info: Arc<TemplateInfo>,
    path: Result<Template, ParseError>,
    body: Body,
}

enum Body {
    /// A text of its own.
    Own(Result<Template, ParseError>),
    /// A shared template.
    Shared(String),
    /// Another file.
    Link(Result<Template, ParseError>),
}

/// Returns the marks of an entry: its own, else those of its owner (drp-api.md 10.4).
pub(super) fn delimiters(entry: &TemplateInfo, owner: (&str, &str)) -> Delimiters {
    let pick = |own: &str, other: &str| if own.is_empty() { other.to_owned() } else { own.to_owned() };
    Delimiters::new(&pick(&entry.start_delimiter, owner.0), &pick(&entry.end_delimiter, owner.1))
}

impl Compiled {
    /// Parses the entries of an object over the shared templates.
    pub(super) fn new(
        owner: String,
        entries: &[TemplateInfo],
        marks: (&str, &str),
        shared: &TemplateSet,
    ) -> Self {
        let entries: Vec<Entry> = entries.iter().map(|entry| Entry::new(entry, marks)).collect();
        let inline = entries.iter().filter_map(|entry| match &entry.body {
            Body::Own(parsed) => Some((entry.info.name.clone(), parsed.clone())),
            Body::Shared(_) | Body::Link(_) => None,
        });
        let set = shared.overlay(inline);
        Self { owner, entries, set }
    }

    /// Parses the entries of a boot environment over the shared templates.
    pub(super) fn of_env(env: &BootEnv, shared: &TemplateSet) -> Self {
        let marks = (env.start_delimiter.as_str(), env.end_delimiter.as_str());
        Self::new(format!("bootenvs:{}", env.name), &env.templates, marks, shared)
    }

    /// Tells whether a path may change without a change of the machine, its boot environment or its stage.
    pub(super) fn looks_elsewhere(&self) -> bool {
        let looks = |entry: &Entry| LOOKS_ELSEWHERE.iter().any(|word| entry.info.path.contains(word));
        self.entries.iter().any(looks)
    }

    /// Renders where an entry's file is.
    pub(super) fn path(&self, entry: &Entry, scene: &Arc<Scene>) -> Result<String, RenderProblem> {
        self.text(&entry.path, scene)
    }

    /// Renders an entry's file.
    pub(super) fn file(&self, entry: &Entry, scene: &Arc<Scene>) -> Result<BootFile, RenderProblem> {
        match &entry.body {
            Body::Own(parsed) => self.text(parsed, scene).map(BootFile::Text),
            Body::Link(parsed) => self.text(parsed, scene).map(BootFile::Link),
            Body::Shared(name) => match self.set.template(name) {
                Some(Ok(template)) => self.render(template, scene).map(BootFile::Text),
                Some(Err(error)) => Err(error.clone().into()),
                None => Err(RenderProblem::NoTemplate { owner: self.owner.clone(), template: name.clone() }),
            },
        }
    }

    /// Renders an entry's file, and tells whether it may hold a secret.
    pub(super) fn rendered(&self, entry: &Entry, scene: &Arc<Scene>) -> Result<Rendered, RenderProblem> {
        let file = self.file(entry, scene)?;
        Ok(Rendered { file, read_secrets: !scene.confidential().is_empty() })
    }

    /// Refuses a machine that lacks required parameters.
    pub(super) fn require(&self, names: &[String], scene: &Scene) -> Result<(), RenderProblem> {
        let names = scene.lacking(names);
        if names.is_empty() {
            return Ok(());
        }
        Err(RenderProblem::RequiredParams { owner: self.owner.clone(), names })
    }

    fn text(
        &self,
        parsed: &Result<Template, ParseError>,
        scene: &Arc<Scene>,
    ) -> Result<String, RenderProblem> {
        self.render(parsed.as_ref().map_err(ParseError::clone)?, scene)
    }

    fn render(&self, template: &Template, scene: &Arc<Scene>) -> Result<String, RenderProblem> {
        let root: Value = Root::value(scene);
        Ok(render(&self.set, template, &root, &options(scene))?)
    }
}

impl Entry {
    fn new(entry: &TemplateInfo, marks: (&str, &str)) -> Self {
        let delimiters = delimiters(entry, marks);
        let parse = |text: &str| Template::parse_between(&entry.name, text, &delimiters);
        let body = match (entry.link.is_empty(), entry.id.is_empty()) {
            (false, _) => Body::Link(parse(&entry.link)),
            (true, false) => Body::Shared(entry.id.clone()),
            (true, true) => Body::Own(parse(&entry.contents)),
        };
        Self { info: Arc::new(entry.clone()), path: parse(&entry.path), body }
    }
}

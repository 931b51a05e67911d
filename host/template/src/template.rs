//! Parsed templates, and the sets out of which they include each other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::ast::{Body, Branches, Node, Span};
use crate::error::ParseError;
use crate::hint;
use crate::lex::{Delimiters, LexError};
use crate::parse::{self, Parsed};

/// Texts longer than this are refused: 4 MiB.
const SOURCE_BYTES: usize = 4 << 20;

/// A parsed template. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Template {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    source: Box<str>,
    parsed: Parsed,
}

/// Which body of a template: its own text, or one that it defines.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Whole,
    Define(usize),
}

impl Template {
    /// Parses `text`, with `{{` and `}}` around actions.
    ///
    /// # Errors
    ///
    /// Anything that Go refuses to parse, unknown functions and variables included; texts over 4 MiB and actions more
    /// than 60 levels deep.
    pub fn parse(name: &str, text: &str) -> Result<Self, ParseError> {
        Self::parse_between(name, text, &Delimiters::default())
    }

    /// Parses `text` with other marks around its actions (drp-api.md 10.4).
    ///
    /// # Errors
    ///
    /// As for [`Template::parse`].
    pub fn parse_between(name: &str, text: &str, delimiters: &Delimiters) -> Result<Self, ParseError> {
        let parsed = if text.len() > SOURCE_BYTES {
            let message = format!("the text is longer than {SOURCE_BYTES} bytes");
            Err(LexError { offset: 0, message, opened: None })
        } else {
            parse::parse(name, text, delimiters)
        };
        match parsed {
            Ok(parsed) => {
                Ok(Self { inner: Arc::new(Inner { name: name.into(), source: text.into(), parsed }) })
            }
            Err(error) => {
                let (line, column) = place(text, error.offset);
                let opened =
                    error.opened.map(|offset| (action(text, offset, delimiters), place(text, offset).0));
                let hint = hint::for_parse(text, error.offset, &error.message, opened.as_ref());
                let expression = match opened {
                    Some((expression, _)) => expression,
                    None => action(text, error.offset, delimiters),
                };
                let template = name.to_owned();
                Err(ParseError { template, line, column, expression, message: error.message, hint })
            }
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the text that was parsed.
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// Returns the names that the template includes, with the line of each, in order. Those that it defines itself are
    /// left out.
    pub fn includes(&self) -> Vec<Include> {
        let parsed = &self.inner.parsed;
        let mut found = Vec::new();
        let bodies = std::iter::once(&parsed.body).chain(parsed.defines.iter().map(|(_, body)| body));
        bodies.for_each(|body| collect_includes(body, &mut found));
        let own: HashSet<&str> = parsed.defines.iter().map(|(name, _)| &**name).collect();
        found
            .into_iter()
            .filter(|(name, _)| !own.contains(&***name))
            .map(|(name, span)| Include {
                template: self.name().to_owned(),
                line: self.place(&span).0,
                name: name.to_string(),
            })
            .collect()
    }

    /// Returns the body to start with. A text of definitions alone runs the one of its own name, as in Go.
    pub(crate) fn main(&self) -> Part {
        match self.define(self.name()) {
            Some(part) if parse::is_blank(&self.inner.parsed.body) => part,
            _ => Part::Whole,
        }
    }

    pub(crate) fn define(&self, name: &str) -> Option<Part> {
        self.inner.parsed.defines.iter().position(|(known, _)| &**known == name).map(Part::Define)
    }

    pub(crate) fn body(&self, part: Part) -> &[Node] {
        match part {
            Part::Whole => &self.inner.parsed.body,
            Part::Define(index) => {
                self.inner.parsed.defines.get(index).map_or(&[], |(_, body)| body.as_slice())
            }
        }
    }

    /// Returns line and column of the beginning of `span`.
    pub(crate) fn place(&self, span: &Span) -> (usize, usize) {
        place(&self.inner.source, span.start)
    }

    /// Returns the source of `span` on one line, shortened to what a message can show.
    pub(crate) fn excerpt(&self, span: &Span) -> String {
        excerpt(self.inner.source.get(span.clone()).unwrap_or_default())
    }

    fn defines(&self) -> impl Iterator<Item = (Arc<str>, Part)> {
        self.inner
            .parsed
            .defines
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (name.clone(), Part::Define(index)))
    }
}

/// An inclusion by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Include {
    /// The template that includes.
    pub template: String,
    /// The line of it, counted from 1.
    pub line: usize,
    /// The name that it includes.
    pub name: String,
}

/// Templates that include each other by name. Cloning is cheap.
///
/// A template that does not parse stays in the set as its error and harms only those that include it
/// (drp-behaviour.md 2.3).
#[derive(Debug, Clone, Default)]
pub struct TemplateSet {
    top: Option<Arc<Layer>>,
}

#[derive(Debug)]
struct Layer {
    templates: HashMap<Arc<str>, Result<Template, ParseError>>,
    defines: HashMap<Arc<str>, (Template, Part)>,
    below: Option<Arc<Layer>>,
}

impl TemplateSet {
    /// Parses pairs of name and text.
    pub fn parse<N: AsRef<str>, T: AsRef<str>>(pairs: impl IntoIterator<Item = (N, T)>) -> Self {
        Self::default().overlay(
            pairs.into_iter().map(|(name, text)| {
                (name.as_ref().to_owned(), Template::parse(name.as_ref(), text.as_ref()))
            }),
        )
    }

    /// Returns a set that has `templates` on top of these: the inline templates of an object over the shared ones.
    /// This set stays as it is, and nothing of it is copied.
    #[must_use]
    pub fn overlay(
        &self,
        templates: impl IntoIterator<Item = (String, Result<Template, ParseError>)>,
    ) -> Self {
        let mut layer = Layer { templates: HashMap::new(), defines: HashMap::new(), below: self.top.clone() };
        for (name, template) in templates {
            if let Ok(template) = &template {
                layer.defines.extend(template.defines().map(|(name, part)| (name, (template.clone(), part))));
            }
            layer.templates.insert(name.into(), template);
        }
        Self { top: Some(Arc::new(layer)) }
    }

    /// Returns the template `name`, or why it does not parse.
    pub fn template(&self, name: &str) -> Option<Result<&Template, &ParseError>> {
        self.layers().find_map(|layer| layer.templates.get(name)).map(Result::as_ref)
    }

    /// Returns the errors of all templates that do not parse, by name.
    pub fn errors(&self) -> Vec<&ParseError> {
        let mut errors: Vec<_> = self
            .layers()
            .flat_map(|layer| layer.templates.values())
            .filter_map(|it| it.as_ref().err())
            .collect();
        errors.sort_by(|left, right| left.template.cmp(&right.template));
        errors
    }

    /// Returns every inclusion, in `template` and all that it includes, of a name that is not here or does not parse.
    pub fn missing(&self, template: &Template) -> Vec<Include> {
        let mut missing = Vec::new();
        let mut seen = HashSet::new();
        let mut open = template.includes();
        while let Some(include) = open.pop() {
            if !seen.insert(include.name.clone()) {
                continue;
            }
            match self.find(&include.name) {
                Some(Ok((found, _))) => open.extend(found.includes()),
                _ => missing.push(include),
            }
        }
        missing.sort();
        missing
    }

    /// Returns what `name` stands for: a template, else a definition inside of one.
    pub(crate) fn find(&self, name: &str) -> Option<Result<(Template, Part), &ParseError>> {
        match self.template(name) {
            Some(Ok(template)) => Some(Ok((template.clone(), template.main()))),
            Some(Err(error)) => Some(Err(error)),
            None => self.layers().find_map(|layer| layer.defines.get(name)).cloned().map(Ok),
        }
    }

    fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::successors(self.top.as_deref(), |layer| layer.below.as_deref())
    }
}

fn collect_includes<'b>(body: &'b Body, found: &mut Vec<(&'b Arc<str>, Span)>) {
    for node in body {
        match node {
            Node::Include { name, span, .. } => found.push((name, span.clone())),
            Node::If(Branches { arms, otherwise }) | Node::With(Branches { arms, otherwise }) => {
                arms.iter().for_each(|(_, body)| collect_includes(body, found));
                otherwise.iter().for_each(|body| collect_includes(body, found));
            }
            Node::Range { body, otherwise, .. } => {
                collect_includes(body, found);
                otherwise.iter().for_each(|body| collect_includes(body, found));
            }
            Node::Text(..) | Node::Action(_) | Node::Break | Node::Continue => {}
        }
    }
}

/// Returns a text on one line, shortened to what a message can show.
fn excerpt(text: &str) -> String {
    // White space that is left out is short in most texts; none of a long one is read.
    let text = text.get(..text.floor_char_boundary(1000)).unwrap_or_default();
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = words.char_indices().nth(80) {
        words.truncate(cut);
        words.push_str("...");
    }
    words
}

/// Returns the action that a place is in, as far as it is on the line of the place; nothing for a place in plain text.
fn action(source: &str, offset: usize, delimiters: &Delimiters) -> String {
    let (before, after) = source.split_at_checked(offset).unwrap_or((source, ""));
    let start = if after.starts_with(&delimiters.start) {
        offset
    } else {
        let begins = before.rfind(&delimiters.start);
        match begins
            .filter(|begins| !before.get(*begins..).is_some_and(|text| text.contains(&delimiters.end)))
        {
            Some(begins) => begins,
            None => return String::new(),
        }
    };
    let text = source.get(start..).unwrap_or_default();
    let behind = offset - start;
    let rest = text.get(behind..).unwrap_or_default();
    let line = rest.find('\n').unwrap_or(rest.len());
    let end =
        rest.get(..line).and_then(|rest| rest.find(&delimiters.end)).map(|end| end + delimiters.end.len());
    excerpt(text.get(..behind + end.unwrap_or(line)).unwrap_or_default())
}

/// Returns line and column of a place in `source`, both counted from 1, the column in characters.
fn place(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

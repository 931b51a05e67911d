//! Running templates: control flow, variables, inclusion, and what methods of objects may do in turn.

mod methods;

use std::sync::{Arc, LazyLock};

use crate::ast::{Branches, Node, Pipe, Span};
use crate::confidential::Confidential;
use crate::error::{CallError, RenderError, RenderFailure};
use crate::format;
use crate::hint;
use crate::limits::{RenderLimits, Session};
use crate::template::{Part, Template, TemplateSet};
use crate::value::{List, Value};

/// Templates inside each other, whatever the limits say, and bodies, parentheses and methods inside each other. They
/// keep the stack of a render under about a megabyte.
const TEMPLATES: usize = 100;
const LEVELS: usize = 320;

/// The name of the variable that every template has.
static ROOT: LazyLock<Arc<str>> = LazyLock::new(|| "$".into());

/// Bytes of a message that are kept; errors of renders inside renders repeat each other.
const MESSAGE: usize = 2000;

/// Characters of a message that are looked at for what must not be shown.
const SEARCHED: usize = 64 << 10;

/// What a key that is not in a map gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// An error, Go's `missingkey=error` (drp-api.md 10.1).
    #[default]
    Error,
    /// `<no value>`, which is false.
    NoValue,
}

/// How to render.
#[derive(Debug, Clone, Default)]
pub struct RenderOptions {
    /// The bounds of the render.
    pub limits: RenderLimits,
    /// What a key that is not in a map gives.
    pub missing_key: MissingKey,
    /// What errors must not quote. The render looks at it when it fails, so that what its methods add on the way counts.
    /// Nothing unless told.
    pub confidential: Arc<Confidential>,
}

/// Renders `template` with `root` as its dot. The templates of `set` may be included by name.
///
/// Maps of `root` that the template changes by `set` are as before when the render ends.
///
/// # Errors
///
/// The first error ends the render; there is no partial text.
pub fn render(
    set: &TemplateSet,
    template: &Template,
    root: &Value,
    options: &RenderOptions,
) -> Result<String, RenderError> {
    let mut engine = Engine {
        set,
        options,
        session: Session::new(&options.limits),
        out: String::with_capacity(template.source().len().min(options.limits.output_bytes)),
        root: root.clone(),
        templates: 0,
        levels: 0,
    };
    match engine.run(template, template.main(), root.clone()) {
        Ok(()) => Ok(std::mem::take(&mut engine.out)),
        Err(error) => Err(*error),
    }
}

/// A running render, as a method of an object sees it.
pub struct Engine<'r> {
    set: &'r TemplateSet,
    pub(crate) options: &'r RenderOptions,
    pub(crate) session: Session,
    out: String,
    root: Value,
    templates: usize,
    levels: usize,
}

/// A template on its way, with its variables.
pub(crate) struct Frame<'t> {
    pub(crate) template: &'t Template,
    pub(crate) variables: Vec<(Arc<str>, Value)>,
    /// The dot was replaced by `with` or `range` this many times.
    pub(crate) moved: usize,
}

pub(crate) type Run<T> = Result<T, Box<RenderError>>;

/// What a `range` visits: pairs of key and item.
enum Items {
    List(List, usize),
    Map(std::vec::IntoIter<(Arc<str>, Value)>),
    Numbers(std::ops::Range<i64>),
}

impl Iterator for Items {
    type Item = (Value, Value);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::List(list, at) => {
                let item = list.items().get(*at)?.clone();
                let index = Value::Int(i64::try_from(*at).unwrap_or(i64::MAX));
                *at += 1;
                Some((index, item))
            }
            Self::Map(entries) => entries.next().map(|(key, item)| (Value::String(key), item)),
            Self::Numbers(numbers) => numbers.next().map(|number| (Value::Int(number), Value::Int(number))),
        }
    }
}

enum Flow {
    Next,
    Break,
    Continue,
}

impl Engine<'_> {
    fn run(&mut self, template: &Template, part: Part, dot: Value) -> Run<()> {
        let mut frame = Frame { template, variables: vec![(Arc::clone(&ROOT), dot.clone())], moved: 0 };
        self.templates += 1;
        let result = if self.templates > self.options.limits.depth.min(TEMPLATES) {
            let message = "templates include each other too deeply";
            Err(self.error(&frame, &(0..0), CallError::Limit(message.to_owned())))
        } else {
            self.walk(&mut frame, template.body(part), &dot).map(drop)
        };
        self.templates -= 1;
        result
    }

    /// Counts one level of the stack; the caller takes it back.
    pub(crate) fn enter(&mut self) -> Result<(), CallError> {
        if self.levels >= LEVELS {
            return Err(CallError::Limit("the render is nested too deeply".to_owned()));
        }
        self.levels += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.levels -= 1;
    }

    fn walk(&mut self, frame: &mut Frame<'_>, body: &[Node], dot: &Value) -> Run<Flow> {
        let entered = self.enter();
        entered.map_err(|error| self.error(frame, &(0..0), error))?;
        let mut flow = Ok(Flow::Next);
        for node in body {
            flow = self.node(frame, node, dot);
            if !matches!(flow, Ok(Flow::Next)) {
                break;
            }
        }
        self.leave();
        flow
    }

    fn node(&mut self, frame: &mut Frame<'_>, node: &Node, dot: &Value) -> Run<Flow> {
        match node {
            Node::Text(text, at) => self.write(frame, &(*at..*at), text)?,
            Node::Action(pipe) => {
                let value = self.pipe(frame, pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.print(frame, &pipe.span, &value)?;
                }
            }
            Node::If(branches) => return self.branches(frame, branches, dot, false),
            Node::With(branches) => return self.branches(frame, branches, dot, true),
            Node::Range { .. } => return self.range(frame, node, dot),
            Node::Include { name, dot: pipe, span } => {
                let inner = match pipe {
                    Some(pipe) => self.pipe(frame, pipe, dot)?,
                    None => Value::Nil,
                };
                self.include_here(frame, name, span, inner)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn branches(
        &mut self,
        frame: &mut Frame<'_>,
        branches: &Branches,
        dot: &Value,
        moves: bool,
    ) -> Run<Flow> {
        let scope = frame.variables.len();
        let mut flow = None;
        for (pipe, body) in &branches.arms {
            let value = self.pipe(frame, pipe, dot)?;
            if value.is_truthy() {
                flow = Some(if moves {
                    frame.moved += 1;
                    let flow = self.walk(frame, body, &value)?;
                    frame.moved -= 1;
                    flow
                } else {
                    self.walk(frame, body, dot)?
                });
                break;
            }
        }
        let flow = match (flow, &branches.otherwise) {
            (Some(flow), _) => flow,
            (None, Some(body)) => self.walk(frame, body, dot)?,
            (None, None) => Flow::Next,
        };
        frame.variables.truncate(scope);
        Ok(flow)
    }

    fn range(&mut self, frame: &mut Frame<'_>, node: &Node, dot: &Value) -> Run<Flow> {
        let Node::Range { pipe, body, otherwise } = node else { return Ok(Flow::Next) };
        let scope = frame.variables.len();
        let value = self.pipe_value(frame, pipe, dot)?;
        let mut items = self.items(frame, pipe, value)?.peekable();
        if items.peek().is_none() {
            let flow = otherwise.as_ref().map_or(Ok(Flow::Next), |body| self.walk(frame, body, dot));
            frame.variables.truncate(scope);
            return flow;
        }
        for (key, item) in items {
            self.bind(frame, pipe, [&key, &item], scope)?;
            frame.moved += 1;
            let flow = self.walk(frame, body, &item)?;
            frame.moved -= 1;
            frame.variables.truncate(scope);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// Gives the loop variables their values: one is the item, two are key and item.
    fn bind(&mut self, frame: &mut Frame<'_>, pipe: &Pipe, pair: [&Value; 2], scope: usize) -> Run<()> {
        self.session.steps(1).map_err(|error| self.error(frame, &pipe.span, error))?;
        let [key, item] = pair;
        let values = if pipe.variables.len() == 1 { [item; 2] } else { [key, item] };
        frame.variables.truncate(scope);
        for (name, value) in pipe.variables.iter().zip(values) {
            if pipe.assigns {
                self.assign(frame, name, value.clone(), &pipe.span)?;
            } else {
                frame.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(())
    }

    /// Returns the pairs of key and item that a `range` visits; maps go by sorted key.
    fn items(&mut self, frame: &Frame<'_>, pipe: &Pipe, value: Value) -> Run<Items> {
        Ok(match value {
            Value::List(list) => Items::List(list, 0),
            Value::Map(map) => {
                let charged = self.session.memory(map.len().saturating_mul(64));
                charged.map_err(|error| self.error(frame, &pipe.span, error))?;
                Items::Map(map.entries().into_iter())
            }
            Value::Int(_) if pipe.variables.len() > 1 => {
                let message =
                    format!("can't use {} to iterate over more than one variable", value.type_name());
                return Err(self.error(frame, &pipe.span, message.into()));
            }
            Value::Int(count) => Items::Numbers(0..count),
            Value::Nil => Items::Numbers(0..0),
            other => {
                let shown = self.shown(&other);
                let message = format!("range can't iterate over {shown}");
                return Err(self.error(frame, &pipe.span, message.into()));
            }
        })
    }

    fn include_here(&mut self, frame: &Frame<'_>, name: &str, span: &Span, dot: Value) -> Run<()> {
        self.session.steps(1).map_err(|error| self.error(frame, span, error))?;
        if let Some(part) = frame.template.define(name) {
            return self.run(frame.template, part, dot);
        }
        match self.set.find(name) {
            Some(Ok((template, part))) => self.run(&template, part, dot),
            Some(Err(error)) => {
                let message = format!("template \"{name}\" does not parse: {}", error.message);
                let hint = error.hint.clone();
                let error = self.error(frame, span, message.into());
                Err(Box::new(RenderError { failure: RenderFailure::Parse, hint, ..*error }))
            }
            None => {
                let error = self.error(frame, span, format!("template \"{name}\" not defined").into());
                Err(Box::new(RenderError { failure: RenderFailure::MissingTemplate, ..*error }))
            }
        }
    }

    fn print(&mut self, frame: &Frame<'_>, span: &Span, value: &Value) -> Run<()> {
        match value {
            Value::String(text) => self.write(frame, span, text),
            Value::Nil => self.write(frame, span, "<no value>"),
            Value::Int(number) => self.write(frame, span, itoa::Buffer::new().format(*number)),
            other => match format::text(&mut self.session, other) {
                Ok(text) => self.write(frame, span, &text),
                Err(error) => Err(self.error(frame, span, error)),
            },
        }
    }

    fn write(&mut self, frame: &Frame<'_>, span: &Span, text: &str) -> Run<()> {
        let most = self.options.limits.output_bytes;
        if text.len() > most.saturating_sub(self.out.len()) {
            let message = format!("the text is longer than {most} bytes");
            return Err(self.error(frame, span, CallError::Limit(message)));
        }
        self.session.steps(1 + text.len() / 64).map_err(|error| self.error(frame, span, error))?;
        self.out.push_str(text);
        Ok(())
    }

    /// Returns a value as messages show it.
    pub(crate) fn shown(&mut self, value: &Value) -> String {
        let text = format::text(&mut self.session, value).unwrap_or_default();
        shortened(self.told(text), 60)
    }

    /// Returns a text as a message may say it. Before it is cut: a value that is cut could not be told any more.
    fn told(&self, text: String) -> String {
        let text = shortened(text, SEARCHED);
        self.options.confidential.concealed(&text).unwrap_or(text)
    }

    /// Gives an error its place.
    pub(crate) fn error(&self, frame: &Frame<'_>, span: &Span, error: CallError) -> Box<RenderError> {
        let (failure, message, inner) = match error {
            CallError::Message(message) => (RenderFailure::Evaluation, message, None),
            CallError::Limit(message) => (RenderFailure::Limit, message, None),
            CallError::Render(error) => {
                let text = RenderError { hint: None, ..(*error).clone() }.to_string();
                (error.failure, text, error.hint)
            }
        };
        let message = shortened(self.told(message), MESSAGE);
        // What is confidential in a source itself is withheld where the source was made.
        let expression = frame.template.excerpt(span);
        let inside = frame.moved > 0 || self.templates > 1;
        let hint = inner.or_else(|| hint::for_render(&expression, &message, inside));
        let template = frame.template.name().to_owned();
        let (line, column) = frame.template.place(span);
        Box::new(RenderError { failure, template, line, column, expression, message, hint })
    }
}

/// Cuts a text behind `most` characters.
fn shortened(mut text: String, most: usize) -> String {
    if let Some((cut, _)) = text.char_indices().nth(most) {
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

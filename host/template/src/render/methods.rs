//! What a method of an object may do with the render that called it.

use crate::confidential::withheld;
use crate::error::{CallError, RenderError, RenderFailure};
use crate::render::Engine;
use crate::template::{Part, Template};
use crate::value::{Map, Value};

impl Engine<'_> {
    /// Returns the root of the render.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// Renders the template `name` of the set with `dot`, for `.CallTemplate`.
    ///
    /// # Errors
    ///
    /// The error of that render, or that there is no such template.
    pub fn include(&mut self, name: &str, dot: Value) -> Result<String, CallError> {
        match self.set.find(name) {
            Some(Ok((template, part))) => self.captured(&template, part, dot),
            Some(Err(error)) => Err(format!("template \"{name}\" does not parse: {}", error.message).into()),
            None => Err(format!("template \"{name}\" not defined").into()),
        }
    }

    /// Parses and renders `text` under the name `name`, for `.StringExpand` and boot parameters. A text without `{{`
    /// is returned as it is.
    ///
    /// # Errors
    ///
    /// The error of parsing or of that render; its place alone when the text holds what is
    /// [confidential](crate::RenderOptions::confidential), since its words are those of the text.
    pub fn render_text(&mut self, name: &str, text: &str, dot: Value) -> Result<String, CallError> {
        self.session.steps(text.len() / 16 + 1)?;
        if !text.contains("{{") {
            self.session.memory(text.len())?;
            return Ok(text.to_owned());
        }
        let rendered = self.parsed_and_rendered(name, text, dot);
        match rendered {
            Err(CallError::Render(error)) if self.options.confidential.concealed(text).is_some() => {
                Err(CallError::from(RenderError {
                    expression: String::new(),
                    message: withheld("a confidential text"),
                    hint: None,
                    ..*error
                }))
            }
            rendered => rendered,
        }
    }

    fn parsed_and_rendered(&mut self, name: &str, text: &str, dot: Value) -> Result<String, CallError> {
        let template = Template::parse(name, text).map_err(|error| RenderError {
            failure: RenderFailure::Parse,
            template: error.template,
            line: error.line,
            column: error.column,
            expression: error.expression,
            message: error.message,
            hint: error.hint,
        })?;
        self.captured(&template, template.main(), dot)
    }

    /// Renders every text inside of `value`; map keys stay as they are (drp-behaviour.md 1.5).
    ///
    /// # Errors
    ///
    /// The first error of a text.
    pub fn expand(&mut self, name: &str, value: &Value, dot: &Value) -> Result<Value, CallError> {
        self.enter()?;
        let expanded = match value {
            Value::String(text) => self.render_text(name, text, dot.clone()).map(Value::from),
            Value::List(list) => {
                let items: Result<_, _> =
                    list.items().iter().map(|item| self.expand(name, item, dot)).collect();
                items.and_then(|items| self.session.list(items))
            }
            Value::Map(map) => self.expand_map(name, map, dot),
            other => Ok(other.clone()),
        };
        self.levels -= 1;
        expanded
    }

    fn expand_map(&mut self, name: &str, map: &Map, dot: &Value) -> Result<Value, CallError> {
        let mut pairs = Vec::new();
        for (key, value) in map.entries() {
            pairs.push((key, self.expand(name, &value, dot)?));
        }
        self.session.map(pairs)
    }

    /// Renders into a text of its own.
    fn captured(&mut self, template: &Template, part: Part, dot: Value) -> Result<String, CallError> {
        let outer = std::mem::take(&mut self.out);
        let (levels, templates) = (self.levels, self.templates);
        let result = self.run(template, part, dot);
        // A method may go on after an error, which leaves the counts where it arose.
        (self.levels, self.templates) = (levels, templates);
        let text = std::mem::replace(&mut self.out, outer);
        result.map_err(CallError::Render)?;
        self.session.memory(text.len())?;
        Ok(text)
    }
}

//! Expressions: pipelines, calls, fields and methods.

use std::sync::Arc;

use crate::ast::{Command, Number, Operand, Pipe, Span, Term};
use crate::error::CallError;
use crate::functions::{Context, Function};
use crate::render::{Engine, Frame, MissingKey, Run};
use crate::value::{Map, Object, Value};

/// The operands behind the head of a command, and the value piped into it.
#[derive(Clone, Copy, Default)]
struct Given<'c> {
    args: &'c [Operand],
    piped: Option<&'c Value>,
}

impl Given<'_> {
    fn is_empty(&self) -> bool {
        self.args.is_empty() && self.piped.is_none()
    }
}

impl Engine<'_> {
    /// Evaluates `pipe` and gives its variable, if it has one, the value.
    pub(crate) fn pipe(&mut self, frame: &mut Frame<'_>, pipe: &Pipe, dot: &Value) -> Run<Value> {
        let value = self.pipe_value(frame, pipe, dot)?;
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(frame, name, value.clone(), &pipe.span)?;
            } else {
                frame.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    /// Evaluates `pipe`; the variables are left to the caller.
    pub(crate) fn pipe_value(&mut self, frame: &mut Frame<'_>, pipe: &Pipe, dot: &Value) -> Run<Value> {
        let entered = self.enter();
        entered.map_err(|error| self.error(frame, &pipe.span, error))?;
        let mut piped = None;
        for command in &pipe.commands {
            piped = Some(self.command(frame, command, dot, piped.as_ref())?);
        }
        self.leave();
        Ok(piped.unwrap_or(Value::Nil))
    }

    /// Gives a variable that exists a new value.
    pub(crate) fn assign(&self, frame: &mut Frame<'_>, name: &str, value: Value, span: &Span) -> Run<()> {
        match frame.variables.iter_mut().rev().find(|(known, _)| &**known == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(self.error(frame, span, format!("undefined variable: {name}").into())),
        }
    }

    fn command(
        &mut self,
        frame: &mut Frame<'_>,
        command: &Command,
        dot: &Value,
        piped: Option<&Value>,
    ) -> Run<Value> {
        self.session.steps(1).map_err(|error| self.error(frame, &command.span, error))?;
        let given = Given { args: &command.args, piped };
        if matches!(command.head.term, Term::Nil) {
            return Err(self.error(frame, &command.span, "nil is not a command".into()));
        }
        self.operand(frame, &command.head, dot, given, &command.span)
    }

    /// Evaluates an argument.
    fn argument(&mut self, frame: &mut Frame<'_>, operand: &Operand, dot: &Value) -> Run<Value> {
        self.operand(frame, operand, dot, Given::default(), &operand.span)
    }

    fn operand(
        &mut self,
        frame: &mut Frame<'_>,
        operand: &Operand,
        dot: &Value,
        given: Given<'_>,
        span: &Span,
    ) -> Run<Value> {
        let plain = operand.fields.is_empty();
        let value = match &operand.term {
            Term::Function(function) => {
                let given = if plain { given } else { Given::default() };
                self.function(frame, function, dot, given, span)?
            }
            _ if plain && !given.is_empty() => {
                let text = frame.template.excerpt(&operand.span);
                return Err(self.error(
                    frame,
                    span,
                    format!("can't give argument to non-function {text}").into(),
                ));
            }
            Term::Dot => dot.clone(),
            Term::Nil => Value::Nil,
            Term::Bool(truth) => Value::Bool(*truth),
            Term::Number(Number::Int(number)) => Value::Int(*number),
            Term::Number(Number::Float(number)) => Value::Float(*number),
            Term::String(text) => Value::String(text.clone()),
            Term::Variable(name) => match frame.variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => value.clone(),
                None => return Err(self.error(frame, span, format!("undefined variable: {name}").into())),
            },
            Term::Pipe(pipe) => self.pipe(frame, pipe, dot)?,
        };
        let Some((last, path)) = operand.fields.split_last() else { return Ok(value) };
        let mut receiver = value;
        for name in path {
            receiver = self.member(frame, &receiver, name, &[], span)?;
        }
        let args = self.arguments(frame, dot, given)?;
        self.member(frame, &receiver, last, &args, span)
    }

    fn arguments(&mut self, frame: &mut Frame<'_>, dot: &Value, given: Given<'_>) -> Run<Vec<Value>> {
        let mut values = Vec::with_capacity(given.args.len() + usize::from(given.piped.is_some()));
        for operand in given.args {
            values.push(self.argument(frame, operand, dot)?);
        }
        values.extend(given.piped.cloned());
        Ok(values)
    }

    fn function(
        &mut self,
        frame: &mut Frame<'_>,
        function: &Function,
        dot: &Value,
        given: Given<'_>,
        span: &Span,
    ) -> Run<Value> {
        let count = given.args.len() + usize::from(given.piped.is_some());
        if !function.takes(count) {
            let message =
                format!("wrong number of args for {}: want {} got {count}", function.name, function.wants());
            return Err(self.error(frame, span, message.into()));
        }
        if let "and" | "or" = function.name {
            return self.short_circuit(frame, function.name == "or", dot, given);
        }
        let mut args = self.arguments(frame, dot, given)?;
        for (index, (operand, value)) in given.args.iter().zip(&mut args).enumerate() {
            if matches!(operand.term, Term::Nil) && function.takes_map(index) {
                // To Go the word is a map without entries here, and a null of the data is not.
                *value = Value::Map(Map::new());
            }
        }
        let mut context = Context { session: &mut self.session };
        // Most functions read their texts once.
        let read: usize = args.iter().map(|value| value.as_str().map_or(0, str::len) / 64).sum();
        let result = context.session.steps(1 + read).and_then(|()| (function.run)(&mut context, &args));
        result.map_err(|error| self.error(frame, span, calling(function.name, error)))
    }

    /// Returns the first argument that decides, without evaluating the rest, else the last one.
    fn short_circuit(
        &mut self,
        frame: &mut Frame<'_>,
        or: bool,
        dot: &Value,
        given: Given<'_>,
    ) -> Run<Value> {
        let mut last = Value::Nil;
        for operand in given.args {
            last = self.argument(frame, operand, dot)?;
            if last.is_truthy() == or {
                return Ok(last);
            }
        }
        Ok(given.piped.cloned().unwrap_or(last))
    }

    fn member(
        &mut self,
        frame: &Frame<'_>,
        receiver: &Value,
        name: &Arc<str>,
        args: &[Value],
        span: &Span,
    ) -> Run<Value> {
        let error = match receiver {
            Value::Object(object) => match self.object_member(object, name, args) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            },
            Value::Map(_) if !args.is_empty() => format!("{name} is not a method but has arguments").into(),
            Value::Map(map) => match (map.get(name), self.options.missing_key) {
                (Some(value), _) => return Ok(value),
                (None, MissingKey::NoValue) => return Ok(Value::Nil),
                (None, MissingKey::Error) => format!("map has no entry for key \"{name}\"").into(),
            },
            Value::Nil if self.options.missing_key == MissingKey::NoValue => return Ok(Value::Nil),
            Value::Nil => format!("nil data; no entry for key \"{name}\"").into(),
            other => format!("can't evaluate field {name} in type {}", other.type_name()).into(),
        };
        Err(self.error(frame, span, error))
    }

    fn object_member(
        &mut self,
        object: &Arc<dyn Object>,
        name: &str,
        args: &[Value],
    ) -> Result<Value, CallError> {
        self.session.steps(1)?;
        if let Some(value) = object.field(name) {
            if args.is_empty() {
                return Ok(value);
            }
            return Err(format!("{name} has arguments but cannot be invoked as function").into());
        }
        self.enter()?;
        let result = object.call(name, args, self);
        self.leave();
        match result {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(format!("can't evaluate field {name} in type {}", object.type_name()).into()),
            Err(error) => Err(calling(name, error)),
        }
    }
}

/// Says in whose call an error arose.
fn calling(name: &str, error: CallError) -> CallError {
    match error {
        CallError::Message(message) => CallError::Message(format!("error calling {name}: {message}")),
        other => other,
    }
}

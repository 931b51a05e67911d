//! JSON, written as Go's `encoding/json` writes it.

use serde_json::Value as Json;

use super::{Arguments, Context, Function};
use crate::error::CallError;
use crate::float;
use crate::limits::{Session, VALUE_DEPTH};
use crate::quote;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::exact("toJson", 1, |context, args| encode(context, args, Style { html: true, pretty: false })),
    Function::exact("mustToJson", 1, |context, args| {
        encode(context, args, Style { html: true, pretty: false })
    }),
    Function::exact("toPrettyJson", 1, |context, args| {
        encode(context, args, Style { html: true, pretty: true })
    }),
    Function::exact("mustToPrettyJson", 1, |context, args| {
        encode(context, args, Style { html: true, pretty: true })
    }),
    Function::exact("toRawJson", 1, |context, args| {
        encode(context, args, Style { html: false, pretty: false })
    }),
    Function::exact("mustToRawJson", 1, |context, args| {
        encode(context, args, Style { html: false, pretty: false })
    }),
    // Without the `must`, what cannot be decoded is nil.
    Function::exact("fromJson", 1, |context, args| {
        let text = Arguments::new(args).text(0)?;
        Ok(decode(context, text)?.unwrap_or(Value::Nil))
    }),
    Function::exact("mustFromJson", 1, |context, args| {
        let text = Arguments::new(args).text(0)?;
        decode(context, text)?.map_err(CallError::from)
    }),
];

#[derive(Clone, Copy)]
struct Style {
    html: bool,
    pretty: bool,
}

fn decode(context: &mut Context<'_>, text: &str) -> Result<Result<Value, String>, CallError> {
    // A text of n bytes makes at most n / 2 values.
    context.session.memory(text.len().saturating_mul(size_of::<Value>()))?;
    Ok(serde_json::from_str::<Json>(text).map(|json| Value::from(&json)).map_err(|error| error.to_string()))
}

fn encode(context: &mut Context<'_>, args: &[Value], style: Style) -> Result<Value, CallError> {
    let mut writer = Writer { out: String::new(), style, session: context.session };
    writer.value(Arguments::new(args).value(0), 0)?;
    Ok(writer.out.into())
}

struct Writer<'s> {
    out: String,
    style: Style,
    session: &'s mut Session,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: u16) -> Result<(), CallError> {
        if depth > VALUE_DEPTH {
            return Err(CallError::Limit("the value is nested too deeply, or holds itself".to_owned()));
        }
        match value {
            Value::Nil => self.push("null"),
            Value::Bool(truth) => self.push(if *truth { "true" } else { "false" }),
            Value::Int(number) => self.push(&number.to_string()),
            Value::Float(number) => self.push(&number_text(*number)),
            Value::String(text) => self.text(text),
            Value::List(list) => {
                let items = list.items().iter().map(|item| (None, item.clone())).collect();
                self.group(items, ["[", "]"], depth)
            }
            Value::Map(map) => {
                let entries = map.entries().into_iter().map(|(key, item)| (Some(key), item)).collect();
                self.group(entries, ["{", "}"], depth)
            }
            Value::Object(object) => self.value(&Value::from(&object.json()), depth + 1),
        }
    }

    fn group(
        &mut self,
        items: Vec<(Option<std::sync::Arc<str>>, Value)>,
        marks: [&str; 2],
        depth: u16,
    ) -> Result<(), CallError> {
        let [open, close] = marks;
        let empty = items.is_empty();
        self.push(open)?;
        for (index, (key, item)) in items.iter().enumerate() {
            if index > 0 {
                self.push(",")?;
            }
            self.line(depth + 1)?;
            if let Some(key) = key {
                self.text(key)?;
                self.push(if self.style.pretty { ": " } else { ":" })?;
            }
            self.value(item, depth + 1)?;
        }
        if !empty {
            self.line(depth)?;
        }
        self.push(close)
    }

    fn line(&mut self, depth: u16) -> Result<(), CallError> {
        if !self.style.pretty {
            return Ok(());
        }
        self.push("\n")?;
        self.push(&"  ".repeat(depth.into()))
    }

    fn text(&mut self, text: &str) -> Result<(), CallError> {
        self.session.memory(text.len())?;
        self.push(&quote::json(text, self.style.html))
    }

    fn push(&mut self, text: &str) -> Result<(), CallError> {
        self.session.memory(text.len())?;
        self.session.steps(1)?;
        self.out.push_str(text);
        Ok(())
    }
}

/// Writes a number with an exponent only when it is below 1e-6 or from 1e21 on.
fn number_text(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let magnitude = number.abs();
    let exponential = magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude);
    let text = float::format(number, if exponential { 'e' } else { 'f' }, None);
    format!("{sign}{}", text.replace("e-0", "e-"))
}

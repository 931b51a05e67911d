//! Go's own functions, comparison apart.

use super::{Arguments, Context, Function};
use crate::error::CallError;
use crate::format;
use crate::quote;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::least("and", 1, last),
    Function::least("or", 1, last),
    Function::exact("not", 1, |_, args| Ok(Value::Bool(!Arguments::new(args).value(0).is_truthy()))),
    Function::least("call", 1, call),
    Function::exact("len", 1, length),
    Function::least("index", 1, index),
    Function::least("print", 0, |context, args| {
        let text = format::print(context.session, args)?;
        Ok(text.into())
    }),
    Function::least("println", 0, |context, args| {
        let text = format::print_line(context.session, args)?;
        Ok(text.into())
    }),
    Function::least("printf", 1, |context, args| {
        let arguments = Arguments::new(args);
        let text = format::printf(context.session, arguments.text(0)?, arguments.rest(1))?;
        Ok(text.into())
    }),
    Function::least("html", 0, |context, args| escaped(context, args, quote::html)),
    Function::least("js", 0, |context, args| escaped(context, args, quote::javascript)),
    Function::least("urlquery", 0, |context, args| escaped(context, args, quote::query)),
];

/// The engine decides between the operands of `and` and `or`, as they may not all be evaluated; what is left when none
/// of them decides is the last one.
fn last(_: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    Ok(args.last().cloned().unwrap_or(Value::Nil))
}

/// Templates here have no function values, so that every `call` is one of something else.
fn call(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let value = Arguments::new(args).value(0);
    if matches!(value, Value::Nil) {
        return Err("call of nil".into());
    }
    let shown = format::text(context.session, value)?;
    Err(format!("non-function {shown} of type {}", value.type_name()).into())
}

fn length(_: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let length = match Arguments::new(args).value(0) {
        Value::String(text) => text.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        Value::Nil => return Err("len of nil pointer".into()),
        other => return Err(format!("len of type {}", other.type_name()).into()),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(_: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let mut item = arguments.value(0).clone();
    if matches!(item, Value::Nil) {
        return Err("index of untyped nil".into());
    }
    for key in arguments.rest(1) {
        item = match (&item, key) {
            (Value::Map(map), Value::String(key)) => map.get(key).unwrap_or(Value::Nil),
            (Value::Map(_), Value::Nil) => return Err("value is nil; should be of type string".into()),
            (Value::Map(_), _) => {
                return Err(format!("value has type {}; should be string", key.type_name()).into());
            }
            (Value::List(list), _) => {
                list.items().get(position(key, list.items().len())?).cloned().unwrap_or(Value::Nil)
            }
            (Value::String(text), _) => {
                let byte = text.as_bytes().get(position(key, text.len())?).copied();
                Value::Int(i64::from(byte.unwrap_or_default()))
            }
            (Value::Nil, _) => return Err("index of nil pointer".into()),
            (Value::Object(thing), _) => {
                thing.item(key).ok_or_else(|| format!("can't index item of type {}", thing.type_name()))?
            }
            (other, _) => return Err(format!("can't index item of type {}", other.type_name()).into()),
        };
    }
    Ok(item)
}

fn position(key: &Value, length: usize) -> Result<usize, CallError> {
    let number = match key {
        Value::Nil => return Err("cannot index slice/array with nil".into()),
        _ => Arguments::new(std::slice::from_ref(key))
            .int(0)
            .map_err(|_| format!("cannot index slice/array with type {}", key.type_name()))?,
    };
    usize::try_from(number)
        .ok()
        .filter(|position| *position < length)
        .ok_or_else(|| format!("index out of range: {number}").into())
}

fn escaped(
    context: &mut Context<'_>,
    args: &[Value],
    escape: fn(&str) -> String,
) -> Result<Value, CallError> {
    let shown: Vec<Value> = args
        .iter()
        .map(|value| if matches!(value, Value::Nil) { Value::from("<no value>") } else { value.clone() })
        .collect();
    let plain = format::print(context.session, &shown)?;
    // The longest escape makes six bytes of one.
    context.session.memory(plain.len().saturating_mul(6))?;
    Ok(escape(&plain).into())
}

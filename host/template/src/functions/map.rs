//! Maps. `set`, `unset` and `merge` change the map itself, for every name that it has.

use std::sync::Arc;

use super::{Arguments, Context, Function, plain_text, text_list};
use crate::error::CallError;
use crate::limits::VALUE_DEPTH;
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::least("dict", 0, dict),
    Function::exact("get", 2, |_, args| {
        let arguments = Arguments::new(args);
        Ok(arguments.map(0)?.get(arguments.text(1)?).unwrap_or_else(|| Value::from("")))
    }),
    Function::exact("set", 3, |context, args| {
        let arguments = Arguments::new(args);
        let map = arguments.map(0)?;
        context.session.insert(map, arguments.text(1)?.into(), arguments.value(2).clone())?;
        Ok(Value::Map(map.clone()))
    }),
    Function::exact("unset", 2, |context, args| {
        let arguments = Arguments::new(args);
        let map = arguments.map(0)?;
        context.session.remove(map, arguments.text(1)?)?;
        Ok(Value::Map(map.clone()))
    }),
    Function::exact("hasKey", 2, |_, args| {
        let arguments = Arguments::new(args);
        Ok(Value::Bool(arguments.map(0)?.contains_key(arguments.text(1)?)))
    }),
    Function::least("pluck", 1, pluck),
    Function::least("keys", 0, |context, args| {
        let mut keys = Vec::new();
        for index in 0..args.len() {
            let map = Arguments::new(args).map(index)?;
            keys.extend(entries(context, map)?.into_iter().map(|(key, _)| key));
        }
        text_list(context, keys)
    }),
    Function::exact("values", 1, |context, args| {
        let entries = entries(context, Arguments::new(args).map(0)?)?;
        context.session.list(entries.into_iter().map(|(_, value)| value).collect())
    }),
    Function::least("pick", 1, |context, args| chosen(context, args, true)),
    Function::least("omit", 1, |context, args| chosen(context, args, false)),
    Function::least("merge", 1, |context, args| merge_all(context, args, false)),
    Function::least("mustMerge", 1, |context, args| merge_all(context, args, false)),
    Function::least("mergeOverwrite", 1, |context, args| merge_all(context, args, true)),
    Function::least("mustMergeOverwrite", 1, |context, args| merge_all(context, args, true)),
    Function::exact("deepCopy", 1, deep_copy),
    Function::exact("mustDeepCopy", 1, deep_copy),
    Function::least("dig", 3, dig),
];

fn entries(context: &mut Context<'_>, map: &Map) -> Result<Vec<(Arc<str>, Value)>, CallError> {
    context.session.memory(map.len().saturating_mul(64))?;
    Ok(map.entries())
}

fn dict(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let mut pairs = Vec::new();
    for pair in args.chunks(2) {
        let arguments = Arguments::new(pair);
        let key = plain_text(context, arguments.value(0))?;
        let value = if pair.len() == 2 { arguments.value(1).clone() } else { Value::from("") };
        pairs.push((key.into(), value));
    }
    context.session.map(pairs)
}

fn pluck(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let key = arguments.text(0)?;
    let mut found = Vec::new();
    for index in 1..args.len() {
        found.extend(arguments.map(index)?.get(key));
    }
    context.session.list(found)
}

fn chosen(context: &mut Context<'_>, args: &[Value], wanted: bool) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let mut names = std::collections::HashSet::new();
    for index in 1..args.len() {
        names.insert(arguments.text(index)?);
    }
    let entries = entries(context, arguments.map(0)?)?;
    context.session.map(entries.into_iter().filter(|(key, _)| names.contains(&**key) == wanted).collect())
}

fn merge_all(context: &mut Context<'_>, args: &[Value], overwrite: bool) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let target = arguments.map(0)?;
    for index in 1..args.len() {
        merge(context, target, arguments.map(index)?, overwrite, 0)?;
    }
    Ok(Value::Map(target.clone()))
}

/// Merges maps in maps too. Without `overwrite` only what is missing or empty in the target is taken.
fn merge(
    context: &mut Context<'_>,
    target: &Map,
    source: &Map,
    overwrite: bool,
    depth: u16,
) -> Result<(), CallError> {
    if depth > VALUE_DEPTH {
        return Err(CallError::Limit("the maps are nested too deeply, or hold themselves".to_owned()));
    }
    if target.identity() == source.identity() {
        return Ok(());
    }
    for (key, value) in entries(context, source)? {
        match (target.get(&key), &value) {
            (Some(Value::Map(below)), Value::Map(from)) => {
                merge(context, &below, from, overwrite, depth + 1)?
            }
            (Some(old), _) if old.is_truthy() && !overwrite => {}
            (_, Value::Nil) if !overwrite => {}
            _ => context.session.insert(target, key, value)?,
        }
    }
    Ok(())
}

fn deep_copy(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    match Arguments::new(args).value(0) {
        Value::Nil => Err("there is nothing to copy: the value is nil".into()),
        value => copy(context, value, 0),
    }
}

fn copy(context: &mut Context<'_>, value: &Value, depth: u16) -> Result<Value, CallError> {
    if depth > VALUE_DEPTH {
        return Err(CallError::Limit("the value is nested too deeply, or holds itself".to_owned()));
    }
    match value {
        Value::List(list) => {
            let items: Result<_, _> =
                list.items().iter().map(|item| copy(context, item, depth + 1)).collect();
            items.and_then(|items| context.session.list(items))
        }
        Value::Map(map) => {
            let mut pairs = Vec::new();
            for (key, item) in entries(context, map)? {
                pairs.push((key, copy(context, &item, depth + 1)?));
            }
            context.session.map(pairs)
        }
        other => Ok(other.clone()),
    }
}

/// Reads along keys: the keys, what to give when one is missing, the map.
fn dig(_: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let keys = args.len().saturating_sub(2);
    for index in 0..keys {
        arguments.text(index)?;
    }
    let mut value = Value::Map(arguments.map(keys + 1)?.clone());
    for index in 0..keys {
        let found = Arguments::new(std::slice::from_ref(&value)).map(0)?.get(arguments.text(index)?);
        match found {
            Some(found) => value = found,
            None => return Ok(arguments.value(keys).clone()),
        }
    }
    Ok(value)
}

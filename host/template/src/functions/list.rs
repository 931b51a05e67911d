//! Lists. None of these changes its argument.

use super::compare::deep_equal;
use super::{Arguments, Context, Function, text_list, texts};
use crate::error::CallError;
use crate::limits::Session;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::least("list", 0, |context, args| context.session.list(args.to_vec())),
    Function::least("tuple", 0, |context, args| context.session.list(args.to_vec())),
    Function::exact("first", 1, |_, args| {
        Ok(items(args, "find first on")?.first().cloned().unwrap_or(Value::Nil))
    }),
    Function::exact("last", 1, |_, args| {
        Ok(items(args, "find last on")?.last().cloned().unwrap_or(Value::Nil))
    }),
    Function::exact("rest", 1, |context, args| {
        context.session.list(items(args, "find rest on")?.iter().skip(1).cloned().collect())
    }),
    Function::exact("initial", 1, |context, args| {
        let items = items(args, "find initial on")?;
        context.session.list(items.iter().take(items.len().saturating_sub(1)).cloned().collect())
    }),
    Function::exact("reverse", 1, |context, args| {
        context.session.list(items(args, "find reverse on")?.iter().rev().cloned().collect())
    }),
    Function::exact("append", 2, |context, args| push(context, args, false)),
    Function::exact("push", 2, |context, args| push(context, args, false)),
    Function::exact("prepend", 2, |context, args| push(context, args, true)),
    Function::least("concat", 0, concat),
    Function::exact("compact", 1, |context, args| {
        let items = items(args, "compact on")?;
        context.session.list(items.iter().filter(|item| item.is_truthy()).cloned().collect())
    }),
    Function::exact("uniq", 1, |context, args| without_known(context.session, items(args, "find uniq on")?)),
    Function::least("without", 1, |context, args| {
        let unwanted = Arguments::new(args).rest(1);
        let mut kept = Vec::new();
        for item in items(args, "find without on")? {
            if !contains(context.session, unwanted, item)? {
                kept.push(item.clone());
            }
        }
        context.session.list(kept)
    }),
    Function::exact("chunk", 2, |context, args| {
        let arguments = Arguments::new(args);
        let items = arguments.list(1, "chunk")?.items();
        let size = match usize::try_from(arguments.int(0)?) {
            Ok(0) => return Err("runtime error: integer divide by zero".into()),
            Ok(size) => size,
            // What Go's arithmetic makes of a negative size.
            Err(_)
                if (1..=arguments.int(0)?.unsigned_abs())
                    .contains(&(items.len().saturating_sub(1) as u64)) =>
            {
                return context.session.list(Vec::new());
            }
            Err(_) => return Err("runtime error: makeslice: len out of range".into()),
        };
        let chunks: Result<_, _> =
            items.chunks(size).map(|chunk| context.session.list(chunk.to_vec())).collect();
        context.session.list(chunks?)
    }),
    Function::exact("has", 2, has),
    Function::least("slice", 1, slice),
    Function::exact("join", 2, |context, args| {
        let arguments = Arguments::new(args);
        let separator = arguments.text(0)?;
        let texts = texts(context, arguments.value(1))?;
        let length: usize = texts.iter().map(|text| text.len().saturating_add(separator.len())).sum();
        context.session.memory(length)?;
        Ok(texts.join(separator).into())
    }),
    Function::exact("sortAlpha", 1, |context, args| {
        let mut texts = match Arguments::new(args).value(0) {
            Value::Nil => vec!["<nil>".to_owned()],
            value => texts(context, value)?,
        };
        context.session.steps(texts.len().saturating_mul(8))?;
        texts.sort();
        text_list(context, texts)
    }),
];

fn items<'a>(args: &'a [Value], verb: &str) -> Result<&'a [Value], CallError> {
    Ok(Arguments::new(args).list(0, verb)?.items())
}

fn push(context: &mut Context<'_>, args: &[Value], front: bool) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let list = arguments.list(0, if front { "prepend on" } else { "push on" })?.items();
    let added = std::slice::from_ref(arguments.value(1));
    let (left, right) = if front { (added, list) } else { (list, added) };
    context.session.list(left.iter().chain(right).cloned().collect())
}

fn concat(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let mut all = Vec::new();
    for index in 0..args.len() {
        let list = Arguments::new(args).list(index, "concat")?.items();
        context.session.memory(size_of_val(list))?;
        all.extend_from_slice(list);
    }
    context.session.list(all)
}

fn without_known(session: &mut Session, items: &[Value]) -> Result<Value, CallError> {
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !contains(session, &kept, item)? {
            kept.push(item.clone());
        }
    }
    session.list(kept)
}

fn contains(session: &mut Session, items: &[Value], wanted: &Value) -> Result<bool, CallError> {
    for item in items {
        if deep_equal(session, item, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    if matches!(arguments.value(1), Value::Nil) {
        return Ok(Value::Bool(false));
    }
    let list = arguments.list(1, "find has on")?;
    contains(context.session, list.items(), arguments.value(0)).map(Value::Bool)
}

/// The `slice` of sprig: lists only, and an empty list gives nil.
fn slice(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let Value::List(list) = arguments.value(0) else {
        let kind = arguments.value(0).kind_name();
        return Err(format!("list should be type of slice or array but {kind}").into());
    };
    let items = list.items();
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let bound = |index: usize, otherwise: usize| match args.get(index) {
        None => Some(otherwise),
        Some(value) => usize::try_from(super::number::to_int(value)).ok(),
    };
    let range = bound(1, 0).zip(bound(2, items.len()));
    match range.and_then(|(start, end)| items.get(start..end)) {
        Some(part) => context.session.list(part.to_vec()),
        None => Err("slice index out of bounds".into()),
    }
}

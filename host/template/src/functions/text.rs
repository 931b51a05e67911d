//! Text. The subject comes last, so that it can be piped in.

use std::sync::Arc;

use super::{Arguments, Context, Function, plain_text, text_list};
use crate::error::CallError;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::exact("trim", 1, |context, args| context.session.text(Arguments::new(args).text(0)?.trim())),
    Function::exact("hello", 0, |_, _| Ok(Value::from("Hello!"))),
    Function::exact("trimAll", 2, trim_all),
    Function::exact("trimall", 2, trim_all),
    Function::exact("trimPrefix", 2, |context, args| {
        let (prefix, text) = two(args)?;
        context.session.text(text.strip_prefix(prefix).unwrap_or(text))
    }),
    Function::exact("trimSuffix", 2, |context, args| {
        let (suffix, text) = two(args)?;
        context.session.text(text.strip_suffix(suffix).unwrap_or(text))
    }),
    Function::exact("lower", 1, |context, args| {
        context.session.text(simple_case(Arguments::new(args).text(0)?, char::to_lowercase))
    }),
    Function::exact("upper", 1, |context, args| {
        context.session.text(simple_case(Arguments::new(args).text(0)?, char::to_uppercase))
    }),
    Function::exact("title", 1, |context, args| context.session.text(title(Arguments::new(args).text(0)?))),
    Function::exact("untitle", 1, |context, args| {
        let text = Arguments::new(args).text(0)?;
        context.session.text(untitle(text))
    }),
    Function::exact("repeat", 2, repeat),
    Function::exact("contains", 2, |_, args| two(args).map(|(part, text)| text.contains(part).into())),
    Function::exact("hasPrefix", 2, |_, args| two(args).map(|(part, text)| text.starts_with(part).into())),
    Function::exact("hasSuffix", 2, |_, args| two(args).map(|(part, text)| text.ends_with(part).into())),
    Function::exact("replace", 3, |context, args| {
        let arguments = Arguments::new(args);
        replaced(context, arguments.text(0)?, arguments.text(1)?, arguments.text(2)?)
    }),
    Function::exact("nospace", 1, |context, args| {
        let text = Arguments::new(args).text(0)?;
        context.session.text(text.chars().filter(|next| !next.is_whitespace()).collect::<String>())
    }),
    Function::exact("indent", 2, |context, args| indented(context, args, "")),
    Function::exact("nindent", 2, |context, args| indented(context, args, "\n")),
    Function::exact("trunc", 2, truncated),
    Function::exact("substr", 3, substring),
    Function::least("cat", 0, cat),
    Function::exact("split", 2, |context, args| split(context, args, usize::MAX)),
    Function::exact("splitn", 3, |context, args| {
        let arguments = Arguments::new(args);
        let most = usize::try_from(arguments.int(1)?).unwrap_or(usize::MAX);
        let pair = [arguments.value(0).clone(), arguments.value(2).clone()];
        split(context, &pair, most)
    }),
    Function::exact("splitList", 2, |context, args| {
        let (separator, text) = two(args)?;
        count_pieces(context, separator, text)?;
        text_list(context, pieces(separator, text, usize::MAX))
    }),
    Function::exact("initials", 1, |context, args| {
        let words = Arguments::new(args).text(0)?.split_whitespace();
        context.session.text(words.filter_map(|word| word.chars().next()).collect::<String>())
    }),
];

fn two(args: &[Value]) -> Result<(&str, &str), CallError> {
    let arguments = Arguments::new(args);
    Ok((arguments.text(0)?, arguments.text(1)?))
}

fn trim_all(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let (unwanted, text) = two(args)?;
    context.session.steps(unwanted.len().saturating_mul(text.len()) / 64)?;
    context.session.text(text.trim_matches(|next| unwanted.contains(next)))
}

/// Changes the case character by character, as Go does; what would become several characters stays, unless there is one
/// that Unicode takes for it.
fn simple_case<I: Iterator<Item = char>>(text: &str, change: fn(char) -> I) -> String {
    text.chars()
        .map(|character| {
            let mut changed = change(character);
            match (changed.next(), changed.next()) {
                (Some(only), None) => only,
                _ => single_case(character),
            }
        })
        .collect()
}

/// Returns the other case of what has several characters in it by the full rules, and one by the simple ones.
fn single_case(character: char) -> char {
    let code = u32::from(character);
    let other = match code {
        0x130 => 0x69,
        0x1f80..=0x1faf if code & 8 == 0 => code + 8,
        0x1fb3 | 0x1fc3 | 0x1ff3 => code + 9,
        _ => code,
    };
    char::from_u32(other).unwrap_or(character)
}

/// Makes the first letter of every word upper case.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        if inside {
            out.push(character);
        } else {
            out.push_str(&simple_case(character.encode_utf8(&mut [0; 4]), char::to_uppercase));
        }
        inside = character.is_alphanumeric()
            || character == '_'
            || !character.is_ascii() && !character.is_whitespace();
    }
    out
}

/// Makes the first letter of every word lower case.
fn untitle(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .map(|character| {
            let first = !inside && !character.is_whitespace();
            inside = !character.is_whitespace();
            let mut lower = character.to_lowercase();
            if first { lower.next().unwrap_or(character) } else { character }
        })
        .collect()
}

fn repeat(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let text = arguments.text(1)?;
    let count = usize::try_from(arguments.int(0)?).map_err(|_| "strings: negative Repeat count")?;
    context.session.memory(text.len().saturating_mul(count))?;
    Ok(if text.is_empty() { String::new() } else { text.repeat(count) }.into())
}

fn replaced(context: &mut Context<'_>, old: &str, new: &str, text: &str) -> Result<Value, CallError> {
    context.session.steps(text.len() / 16)?;
    let count =
        if old.is_empty() { text.chars().count().saturating_add(1) } else { text.matches(old).count() };
    context.session.memory(text.len().saturating_add(count.saturating_mul(new.len())))?;
    Ok(text.replace(old, new).into())
}

fn indented(context: &mut Context<'_>, args: &[Value], before: &str) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let width = usize::try_from(arguments.int(0)?).map_err(|_| "strings: negative Repeat count")?;
    let text = arguments.text(1)?;
    let lines = text.matches('\n').count().saturating_add(1);
    context.session.memory(width.saturating_mul(lines).saturating_add(text.len()))?;
    let pad = " ".repeat(width);
    Ok(format!("{before}{pad}{}", text.replace('\n', &format!("\n{pad}"))).into())
}

fn truncated(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let (count, text) = (arguments.int(0)?, arguments.text(1)?);
    let magnitude = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let kept = match (count < 0, magnitude < text.len()) {
        (_, false) => text.to_owned(),
        (true, _) => bytes(text, text.len() - magnitude, text.len()),
        (false, _) => bytes(text, 0, magnitude),
    };
    context.session.text(kept)
}

fn substring(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let text = arguments.text(2)?;
    let start = usize::try_from(arguments.int(0)?).ok();
    let end = usize::try_from(arguments.int(1)?).ok();
    let (start, end) = match (start, end) {
        (None, Some(end)) => (0, end),
        (Some(start), end) => (start, end.filter(|end| *end <= text.len()).unwrap_or(text.len())),
        (None, None) => return Err("slice bounds out of range".into()),
    };
    if start > end || end > text.len() {
        return Err("slice bounds out of range".into());
    }
    context.session.text(bytes(text, start, end))
}

/// Cuts by bytes, as Go does; a character that is cut in two becomes U+FFFD.
fn bytes(text: &str, start: usize, end: usize) -> String {
    String::from_utf8_lossy(text.as_bytes().get(start..end).unwrap_or_default()).into_owned()
}

fn cat(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let mut words = Vec::new();
    for value in args.iter().filter(|value| !matches!(value, Value::Nil)) {
        words.push(plain_text(context, value)?);
    }
    context.session.text(words.join(" "))
}

/// Splits into a map of `_0`, `_1` and so on.
fn split(context: &mut Context<'_>, args: &[Value], most: usize) -> Result<Value, CallError> {
    let (separator, text) = two(args)?;
    count_pieces(context, separator, text)?;
    let mut pairs: Vec<(Arc<str>, Value)> = Vec::new();
    for (index, piece) in pieces(separator, text, most).into_iter().enumerate() {
        context.session.memory(64)?;
        pairs.push((format!("_{index}").into(), context.session.text(piece)?));
    }
    context.session.map(pairs)
}

/// Counts the memory of splitting before it is done.
fn count_pieces(context: &mut Context<'_>, separator: &str, text: &str) -> Result<(), CallError> {
    context.session.steps(text.len() / 16)?;
    context.session.memory(text.matches(separator).count().saturating_mul(size_of::<&str>()))
}

fn pieces<'t>(separator: &str, text: &'t str, most: usize) -> Vec<&'t str> {
    if most == 0 {
        return Vec::new();
    }
    if !separator.is_empty() {
        return text.splitn(most, separator).collect();
    }
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).take(most).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| text.get(*start..end)).collect()
}

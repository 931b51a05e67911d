//! Regular expressions in Go's syntax.

use std::ops::Range;

use regex::{NoExpand, Regex, RegexBuilder};

use super::{Arguments, Context, Function, text_list};
use crate::error::CallError;
use crate::value::Value;

/// Bytes of a compiled expression. Bounded repetitions inside each other reach it fast.
const COMPILED: usize = 1 << 20;

/// Compiled expressions that a render keeps.
const KEPT: usize = 32;

pub(super) const FUNCTIONS: &[Function] = &[
    // Without the `must`, an expression that does not compile matches nothing.
    Function::exact("regexMatch", 2, |context, args| {
        let arguments = Arguments::new(args);
        let compiled = compile(context, arguments)?;
        let text = arguments.text(1)?;
        Ok(Value::Bool(compiled.is_ok_and(|regex| regex.is_match(text))))
    }),
    Function::exact("mustRegexMatch", 2, |context, args| {
        let arguments = Arguments::new(args);
        Ok(Value::Bool(compiled(context, arguments)?.is_match(arguments.text(1)?)))
    }),
    Function::exact("regexFind", 2, find),
    Function::exact("mustRegexFind", 2, find),
    Function::exact("regexFindAll", 3, find_all),
    Function::exact("mustRegexFindAll", 3, find_all),
    Function::exact("regexReplaceAll", 3, replace),
    Function::exact("mustRegexReplaceAll", 3, replace),
    Function::exact("regexReplaceAllLiteral", 3, replace_literal),
    Function::exact("mustRegexReplaceAllLiteral", 3, replace_literal),
    Function::exact("regexSplit", 3, split),
    Function::exact("mustRegexSplit", 3, split),
    Function::exact("regexQuoteMeta", 1, |context, args| {
        let text = Arguments::new(args).text(0)?;
        let mut out = String::with_capacity(text.len());
        for character in text.chars() {
            if "\\.+*?()|[]{}^$".contains(character) {
                out.push('\\');
            }
            out.push(character);
        }
        context.session.text(out)
    }),
];

fn find(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let regex = compiled(context, arguments)?;
    let found = regex.find(arguments.text(1)?);
    context.session.text(found.map_or("", |found| found.as_str()))
}

fn find_all(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let regex = compiled(context, arguments)?;
    let text = arguments.text(1)?;
    let most = usize::try_from(arguments.int(2)?).unwrap_or(usize::MAX);
    let found = matches(context, &regex, text, most)?;
    text_list(context, found.into_iter().filter_map(|range| text.get(range)))
}

fn replace(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let regex = compiled(context, arguments)?;
    let (text, with) = (arguments.text(1)?, arguments.text(2)?);
    let mut out = String::new();
    let mut end = 0;
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        // A `$` may give the whole match again and again; this bounds the text before it is made.
        rescan(context, text, whole.end())?;
        let dollars = with.matches('$').count().saturating_mul(whole.len());
        context.session.memory(with.len().saturating_add(dollars))?;
        out.push_str(text.get(end..whole.start()).unwrap_or_default());
        captures.expand(with, &mut out);
        end = whole.end();
    }
    out.push_str(text.get(end..).unwrap_or_default());
    context.session.text(out)
}

fn replace_literal(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let regex = compiled(context, arguments)?;
    let (text, with) = (arguments.text(1)?, arguments.text(2)?);
    let count = matches(context, &regex, text, usize::MAX)?.len();
    context.session.memory(count.saturating_mul(with.len()).saturating_add(text.len()))?;
    Ok(regex.replace_all(text, NoExpand(with)).into_owned().into())
}

fn split(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let regex = compiled(context, arguments)?;
    let text = arguments.text(1)?;
    let most = arguments.int(2)?;
    if most == 0 {
        return context.session.list(Vec::new());
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in matches(context, &regex, text, most)? {
        if parts.len() + 1 >= most {
            break;
        }
        end = found.start;
        if found.end != 0 {
            parts.push(text.get(begin..end).unwrap_or_default());
        }
        begin = found.end;
    }
    if end != text.len() || text.is_empty() {
        parts.push(text.get(begin..).unwrap_or_default());
    }
    text_list(context, parts)
}

fn compiled(context: &mut Context<'_>, arguments: Arguments<'_>) -> Result<Regex, CallError> {
    compile(context, arguments)?
        .map_err(|_| format!("error parsing regexp: `{}`", arguments.text(0).unwrap_or_default()).into())
}

/// Compiles the first argument, or takes it from an earlier call, and counts the work of searching the second.
fn compile(
    context: &mut Context<'_>,
    arguments: Arguments<'_>,
) -> Result<Result<Regex, regex::Error>, CallError> {
    let pattern = arguments.text(0)?;
    context.session.steps(arguments.text(1)?.len() / 4)?;
    if let Some(regex) = context.session.regexes.get(pattern) {
        return Ok(Ok(regex.clone()));
    }
    // Compiling takes as long as many thousand steps; repetitions and Unicode classes multiply it.
    let heavy =
        pattern.matches('{').count() + pattern.matches("\\p").count() + pattern.matches("\\P").count();
    context.session.steps(20_000 + pattern.len().saturating_mul(100) + heavy.saturating_mul(50_000))?;
    let regex = RegexBuilder::new(&translated(pattern)).size_limit(COMPILED).dfa_size_limit(COMPILED).build();
    if let Ok(regex) = &regex
        && context.session.regexes.len() < KEPT
    {
        context.session.regexes.insert(pattern.to_owned(), regex.clone());
    }
    Ok(regex)
}

/// Returns where the expression matches.
fn matches(
    context: &mut Context<'_>,
    regex: &Regex,
    text: &str,
    most: usize,
) -> Result<Vec<Range<usize>>, CallError> {
    let mut ranges = Vec::new();
    for found in regex.find_iter(text).take(most) {
        rescan(context, text, found.end())?;
        context.session.memory(size_of::<Range<usize>>())?;
        ranges.push(found.range());
    }
    Ok(ranges)
}

/// Counts the work of searching on from `end`: every search may read up to the end of the text.
fn rescan(context: &mut Context<'_>, text: &str, end: usize) -> Result<(), CallError> {
    context.session.steps(1 + text.len().saturating_sub(end) / 32)
}

/// The classes that have a name in brackets.
const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// What no engine takes, in place of what Go alone refuses.
const REFUSED: &str = "\\y";

/// The most that a repetition may count in Go.
const REPETITIONS: usize = 1000;

/// Returns what stands behind the repetition that a pattern begins with; `None` when it begins with none.
fn behind_repetition(pattern: &str) -> Option<&str> {
    let rest = match pattern.strip_prefix(['*', '+', '?']) {
        Some(rest) => rest,
        None => counted(pattern)?.1,
    };
    Some(rest.strip_prefix('?').unwrap_or(rest))
}

/// Returns the greatest number of `{n}`, `{n,}` or `{n,m}`, and what stands behind.
fn counted(pattern: &str) -> Option<(usize, &str)> {
    let (inner, rest) = pattern.strip_prefix('{')?.split_once('}')?;
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |text: &str| text.bytes().all(|next| next.is_ascii_digit());
    if least.is_empty() || !digits(least) || !digits(most) {
        return None;
    }
    let number = |text: &str| if text.is_empty() { 0 } else { text.parse().unwrap_or(usize::MAX) };
    Some((number(least).max(number(most)), rest))
}

/// Rewrites what means something else in Go: its classes know ASCII only and have no sets inside of sets, its repetitions
/// have bounds and are not repeated, braces stand for themselves elsewhere, and white space always counts.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut class = false;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        if let Some(behind) = behind_repetition(rest).filter(|_| !class) {
            let refused = behind_repetition(behind).is_some()
                || counted(rest).is_some_and(|(count, _)| count > REPETITIONS);
            let kept = rest.get(..rest.len() - behind.len()).unwrap_or_default();
            out.push_str(if refused { REFUSED } else { kept });
            rest = behind;
            continue;
        }
        if first == '\\' {
            rest = escape(after, class, &mut out);
            continue;
        }
        rest = after;
        match first {
            '[' if !class => {
                class = true;
                out.push('[');
                if let Some(negated) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = negated;
                }
                // A closing bracket that comes first stands for itself.
                if let Some(closed) = rest.strip_prefix(']') {
                    out.push_str("\\]");
                    rest = closed;
                }
            }
            '[' => match rest.split_once(":]").filter(|(name, _)| is_class_name(name)) {
                Some((name, behind)) if !CLASSES.contains(&name.trim_start_matches([':', '^'])) => {
                    out.push_str(REFUSED);
                    rest = behind;
                }
                Some((name, behind)) => {
                    crate::quote::put(&mut out, format_args!("[{name}:]"));
                    rest = behind;
                }
                None => out.push_str("\\["),
            },
            ']' if class => {
                class = false;
                out.push(']');
            }
            '{' if !class => out.push_str("\\{"),
            '(' if !class => {
                // No flags at all.
                if let Some(behind) = rest.strip_prefix("?)") {
                    rest = behind;
                    out.push_str("(?:)");
                    continue;
                }
                out.push('(');
                if let Some(flags) = rest.strip_prefix('?') {
                    out.push('?');
                    rest = flags;
                    let flags = flags.bytes().take_while(|next| next.is_ascii_alphabetic() || *next == b'-');
                    if !rest.starts_with('P') && flags.into_iter().any(|next| !b"imsU-".contains(&next)) {
                        out.push_str(REFUSED);
                    }
                }
            }
            '&' | '~' if class => {
                out.push('\\');
                out.push(first);
            }
            _ => out.push(first),
        }
    }
    out
}

/// Rewrites what follows a backslash and returns what follows that.
fn escape<'p>(text: &'p str, class: bool, out: &mut String) -> &'p str {
    let Some(first) = text.chars().next() else {
        out.push('\\');
        return text;
    };
    let rest = text.get(first.len_utf8()..).unwrap_or_default();
    let (inside, around) = if class { ("", "") } else { ("[", "]") };
    match first {
        '0'..='7' => {
            // A code in octal; a single digit but zero would be a reference to a group, which Go refuses.
            let length = text.bytes().take(3).take_while(|next| matches!(next, b'0'..=b'7')).count();
            let (digits, behind) = text.split_at_checked(length).unwrap_or((text, ""));
            match u32::from_str_radix(digits, 8) {
                Ok(code) if length > 1 || code == 0 => {
                    crate::quote::put(out, format_args!("\\x{{{code:x}}}"));
                }
                _ => crate::quote::put(out, format_args!("\\{digits}")),
            }
            return behind;
        }
        'p' | 'P' | 'x' if rest.starts_with('{') => {
            let (name, behind) = rest.split_once('}').unwrap_or((rest, ""));
            crate::quote::put(out, format_args!("\\{first}{name}}}"));
            return behind;
        }
        'd' => crate::quote::put(out, format_args!("{inside}0-9{around}")),
        'w' => crate::quote::put(out, format_args!("{inside}0-9A-Za-z_{around}")),
        's' => crate::quote::put(out, format_args!("{inside}\\t\\n\\x0c\\r {around}")),
        'D' => out.push_str("[^0-9]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'S' => out.push_str("[^\\t\\n\\x0c\\r ]"),
        'b' | 'B' if !class => crate::quote::put(out, format_args!("(?-u:\\{first})")),
        'Q' => {
            let (plain, behind) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(plain));
            return behind;
        }
        // These mean something to the engine that Go does not know, so that Go refuses them.
        '<' | '>' | 'u' | 'U' | 'R' | 'K' | 'C' => {
            out.push_str(REFUSED);
        }
        _ => {
            out.push('\\');
            out.push(first);
        }
    }
    rest
}

fn is_class_name(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|name| {
        name.chars().all(|next| next.is_ascii_lowercase() || next == '^') && !name.is_empty()
    })
}

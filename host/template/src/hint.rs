//! Advice for the mistakes that people make most.

use crate::functions;

/// Returns advice for a text that does not parse at `offset`.
pub(crate) fn for_parse(source: &str, offset: usize, message: &str) -> Option<String> {
    let before = source.get(..offset).unwrap_or_default();
    let after = source.get(offset..).unwrap_or_default();
    if message.starts_with("bad character") {
        return bad_character(before, after);
    }
    if let Some(name) = between_quotes(message, "function ") {
        return unknown_function(name, before);
    }
    if message.starts_with("unexpected") && message.ends_with(" clause") {
        return Some("the name of a template stands in quotes: `{{template \"name\" .}}`".to_owned());
    }
    if message.starts_with("bad number syntax: \"-") {
        return Some("the dash that trims white space needs a space behind it: `{{- `".to_owned());
    }
    if message.starts_with("undefined variable") {
        return Some("a variable is declared with `:=` in the same block or in one around it".to_owned());
    }
    let hint = match message {
        "unterminated quoted string" => {
            "a closing quote is missing on this line; text over several lines stands in backquotes"
        }
        "unterminated raw quoted string" => "a closing backquote is missing",
        "unclosed action" => "the closing delimiter is missing; a plain `{{` is written as `{{\"{{\"}}`",
        "unclosed left paren" => "a `)` is missing in this action",
        "unexpected right paren" => "a `(` is missing in this action",
        "unclosed comment" | "comment ends before closing delimiter" => {
            "a comment is `{{/* ... */}}`, with nothing between the marks and the delimiters"
        }
        "unexpected EOF" => "an `if`, `with`, `range`, `define` or `block` has no `{{end}}`",
        "unexpected {{end}}" => {
            "there is one `{{end}}` more than `if`, `with`, `range`, `define` and `block`"
        }
        "unexpected {{else}}" => "this `{{else}}` belongs to no `if`, `with` or `range`",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns advice for an expression that fails in a render. `inside` says that the dot is not the root there.
pub(crate) fn for_render(expression: &str, message: &str, inside: bool) -> Option<String> {
    let by_name = ["ParamExists", "ParamExpand", "ParamCompose", "ComposeParam", "ParamAsJSON", "Param"];
    for method in by_name {
        if let Some(name) = expression.split_once(&format!(".{method}.")).map(|(_, name)| first_word(name)) {
            return Some(format!("a parameter is named in quotes: `.{method} \"{name}\"`"));
        }
    }
    let absent = ["can't evaluate field", "nil data; no entry", "map has no entry", "is not a method"];
    if inside && absent.iter().any(|start| message.contains(start)) {
        return Some(
            "in `range`, `with` and included templates the dot is another value; `$` is what the template was given"
                .to_owned(),
        );
    }
    message
        .contains("map has no entry")
        .then(|| "test with `hasKey`, or read with `get`, a key that may be missing".to_owned())
}

fn bad_character(before: &str, after: &str) -> Option<String> {
    let start = before.rfind(|end: char| end.is_whitespace() || "({|".contains(end)).map_or(0, |at| at + 1);
    let word = before.get(start..).unwrap_or_default();
    let tail: String =
        after.chars().take_while(|next| next.is_alphanumeric() || "-_/".contains(*next)).collect();
    if !after.starts_with(['-', '/']) {
        return Some(
            "a space is missing here, or the name holds a character that names cannot have".to_owned(),
        );
    }
    if before.get(..start).unwrap_or_default().trim_end().ends_with("template") {
        return Some(format!(
            "the name of a template stands in quotes: `{{{{template \"{word}{tail}\" .}}}}`"
        ));
    }
    match word.rsplit_once('.') {
        Some((owner, name)) if owner.contains(".Param") || owner.contains(".ComposeParam") => {
            Some(format!("a name with a dash stands in quotes: `{owner} \"{name}{tail}\"`"))
        }
        Some((owner, name)) => {
            let owner = if owner.is_empty() { "." } else { owner };
            Some(format!("a name with a dash stands in quotes: `index {owner} \"{name}{tail}\"`"))
        }
        None => Some(format!("a name with a dash stands in quotes: `\"{word}{tail}\"`")),
    }
}

fn unknown_function(name: &str, before: &str) -> Option<String> {
    if ["env", "expandenv", "now", "ago"].contains(&name) {
        return Some("functions that look at the host or its clock are not available".to_owned());
    }
    if before.trim_end().ends_with("template") {
        return Some(format!("the name of a template stands in quotes: `{{{{template \"{name}\" .}}}}`"));
    }
    if name.starts_with(char::is_uppercase) {
        return Some(format!("members of the root begin with a dot: `.{name}`"));
    }
    let near = functions::names().min_by_key(|known| distance(known, name))?;
    if distance(near, name) <= 2 {
        return Some(format!("there is a function `{near}`"));
    }
    Some(format!("text stands in quotes: `\"{name}\"`"))
}

fn between_quotes<'m>(message: &'m str, start: &str) -> Option<&'m str> {
    message.strip_prefix(start)?.split('"').nth(1)
}

fn first_word(text: &str) -> &str {
    text.split(|end: char| end.is_whitespace() || ").|".contains(end)).next().unwrap_or_default()
}

/// Counts the insertions, deletions and replacements between two names; names of more than 24 characters are far away.
fn distance(left: &str, right: &str) -> usize {
    if right.len() > 24 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(right.chars()) {
            let cost = (diagonal + usize::from(from != to)).min(before + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, cost);
            before = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

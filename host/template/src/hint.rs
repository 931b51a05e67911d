//! Advice for the mistakes that people make most.

use crate::functions;

/// The methods that take the name of a param.
const BY_NAME: [&str; 8] = [
    "ParamExists",
    "ParamExpand",
    "ParamComposeExpand",
    "ParamCompose",
    "ComposeParam",
    "ParamAsJSON",
    "ParamAsYAML",
    "Param",
];

/// Returns advice for a text that does not parse at `offset`; `opened` is an action without end, and its line.
pub(crate) fn for_parse(
    source: &str,
    offset: usize,
    message: &str,
    opened: Option<&(String, usize)>,
) -> Option<String> {
    if let Some((action, line)) = opened {
        return Some(format!("`{action}` of line {line} has no `{{{{end}}}}`"));
    }
    let before = source.get(..offset).unwrap_or_default();
    let after = source.get(offset..).unwrap_or_default();
    if after.starts_with(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) {
        return Some("a word processor has changed the quotes: text stands in `\"`".to_owned());
    }
    if message.starts_with("bad character") {
        return bad_character(before, after);
    }
    if let Some(name) = between_quotes(message, "function ") {
        return unknown_function(name, before, after);
    }
    if message.starts_with("unexpected") && message.ends_with(" clause") {
        return Some("the name of a template stands in quotes: `{{template \"name\" .}}`".to_owned());
    }
    if message.starts_with("bad number syntax: \"-") && !after.starts_with("- ") {
        return Some("the dash that trims white space needs a space behind it: `{{- `".to_owned());
    }
    let of_another = message.starts_with("unexpected") || message.starts_with("bad number");
    if let Some(hint) = operator(after).filter(|_| of_another || message == "expected :=") {
        return Some(hint.to_owned());
    }
    if message.starts_with("malformed character constant") {
        return Some("text stands in `\"`; what stands in `'` is one character".to_owned());
    }
    if message.ends_with("outside {{range}}") {
        return Some("`break` and `continue` stand between a `{{range}}` and its `{{end}}`".to_owned());
    }
    if message.starts_with("undefined variable") {
        if before.trim_end().ends_with("range") {
            return Some("`range` declares its variables: `{{range $key, $item := .list}}`".to_owned());
        }
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
        "expected end; found {{else}}" => "there is one `{{else}}`, the last; others are `{{else if ...}}`",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns advice for an expression that fails in a render. `inside` says that the dot is not the root there.
pub(crate) fn for_render(expression: &str, message: &str, inside: bool) -> Option<String> {
    for method in BY_NAME {
        if let Some(name) = expression.split_once(&format!(".{method}.")).map(|(_, name)| first_word(name)) {
            return Some(format!("a parameter is named in quotes: `.{method} \"{name}\"`"));
        }
    }
    let absent = ["can't evaluate field", "nil data; no entry", "map has no entry", "is not a method"];
    if message.contains("has no value") && expression.contains(".Param") {
        return Some("`.ParamExists` tells before whether there is a value".to_owned());
    }
    if inside && message.starts_with("nil data") {
        return Some(
            "a template that is included without a dot has none: `{{template \"name\" .}}` gives it this one"
                .to_owned(),
        );
    }
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

/// Returns advice for what other languages have and templates do not; `after` begins with it.
fn operator(after: &str) -> Option<&'static str> {
    const OPERATORS: &[(&str, &str)] = &[
        ("==", "values are compared by functions: `eq .a .b`"),
        ("!=", "values are compared by functions: `ne .a .b`"),
        (">", "values are compared by functions: `gt .a .b`, `ge .a .b`"),
        ("<", "values are compared by functions: `lt .a .b`, `le .a .b`"),
        ("!", "what is not so is said by a function: `not .a`"),
        ("&", "conditions are joined by functions: `and .a .b`"),
        (
            "|",
            "conditions are joined by functions: `or .a .b`; a lone `|` stands between a value and a function",
        ),
        ("+", "sums are functions: `add .a 1`; text is joined by `print .a .b`"),
        ("- ", "differences are functions: `sub .a 1`"),
        ("*", "products are functions: `mul .a 2`"),
        ("%", "what is left of a division is a function: `mod .a 2`"),
        ("/*", "a comment is `{{/* ... */}}`, with nothing between the marks and the delimiters"),
        ("//", "a comment is `{{/* ... */}}`, with nothing between the marks and the delimiters"),
        ("#", "a comment is `{{/* ... */}}`, with nothing between the marks and the delimiters"),
        ("/", "quotients are functions: `div .a 2`"),
        (":=", "the name of a variable begins with `$`: `{{$name := 1}}`"),
        (":", "a choice is a function: `ternary .a .b .condition`"),
        ("=", "the name of a variable begins with `$`: `{{$name = 1}}`; values are compared by `eq`"),
        ("?", "a choice is a function: `ternary .a .b .condition`"),
        (",", "arguments have spaces between them, and no commas"),
        ("(", "there is a space before an argument, in parentheses as well: `.Param (print \"a\" .b)`"),
        ("{", "actions do not stand in actions; values of an action stand in parentheses"),
        ("end", "an `{{end}}` stands alone"),
        ("if", "an `{{end}}` stands alone, as an `{{else}}` does behind `with` and `range`"),
        ("define", "a `{{define}}` stands outside of all other actions"),
    ];
    if after.starts_with("{{end}}") || after.starts_with("{{- end") || after.starts_with("{{ end") {
        return Some("there is one `{{end}}` more than `if`, `with`, `range`, `define` and `block`");
    }
    if after.starts_with("{{") && after.trim_start_matches(['{', '-', ' ']).starts_with("else") {
        return Some("this `{{else}}` belongs to no `if`, `with` or `range`");
    }
    OPERATORS.iter().find(|(sign, _)| after.starts_with(sign)).map(|(_, hint)| *hint)
}

fn bad_character(before: &str, after: &str) -> Option<String> {
    let start = before.rfind(|end: char| end.is_whitespace() || "({|".contains(end)).map_or(0, |at| at + 1);
    let word = before.get(start..).unwrap_or_default();
    let tail: String =
        after.chars().take_while(|next| next.is_alphanumeric() || "-_/".contains(*next)).collect();
    let hint = match after.chars().next() {
        Some('[') => "an item of a list or a map is read by a function: `index .list 0`",
        Some('"' | '`' | '\'') => "a quote is missing before this one, or a space",
        Some('=') => "there is a space before `=`; values are compared by a function: `eq .a .b`",
        Some(space) if space.is_whitespace() => {
            "this is no ordinary space; white space is made of spaces, tabs and ends of lines"
        }
        Some('-') if tail == "-" => "the dash that trims white space needs a space before it: ` -}}`",
        Some('-' | '/') => "",
        _ => "a space is missing here, or the name holds a character that names cannot have",
    };
    if !hint.is_empty() {
        return Some(hint.to_owned());
    }
    if before.get(..start).unwrap_or_default().trim_end().ends_with("template") {
        let tail: String = after.chars().take_while(|next| !next.is_whitespace() && *next != '}').collect();
        return Some(format!(
            "the name of a template stands in quotes: `{{{{template \"{word}{tail}\" .}}}}`"
        ));
    }
    match word.rsplit_once('.') {
        Some((owner, name)) if BY_NAME.iter().any(|method| owner.ends_with(&format!(".{method}"))) => {
            Some(format!("a name with a dash stands in quotes: `{owner} \"{name}{tail}\"`"))
        }
        Some((owner, name)) => {
            let owner = if owner.is_empty() { "." } else { owner };
            Some(format!("a name with a dash stands in quotes: `index {owner} \"{name}{tail}\"`"))
        }
        None => Some(format!("a name with a dash stands in quotes: `\"{word}{tail}\"`")),
    }
}

fn unknown_function(name: &str, before: &str, after: &str) -> Option<String> {
    const WORDS: &[(&[&str], &str)] = &[
        (&["elif", "elseif", "elsif"], "another condition is `{{else if ...}}`"),
        (
            &["endif", "endfor", "endwith", "endrange", "fi", "done", "esac"],
            "every block ends with `{{end}}`",
        ),
        (&["for", "foreach", "each", "while"], "a list is gone through by `{{range $item := .list}}`"),
        (&["unless"], "what is not so is asked by `{{if not ...}}`"),
        (&["then", "do"], "what is behind the `}}` is done; there is no word for it"),
        (&["in"], "`range` declares its variables: `{{range $key, $item := .list}}`"),
        (
            &["include", "import"],
            "a template is included by `{{template \"name\" .}}`, or by `.CallTemplate`",
        ),
        (&["null", "none", "None", "NULL"], "no value is `nil`"),
        (&["True", "TRUE", "yes"], "the truth values are `true` and `false`"),
        (&["False", "FALSE", "no"], "the truth values are `true` and `false`"),
        (&["var", "let"], "a variable is declared by `{{$name := 1}}`"),
        (&["toYaml", "toYAML"], "`.ParamAsYAML \"name\"` gives a param as YAML, `toJson` anything as JSON"),
        (&["toJSON"], "there is a function `toJson`"),
    ];
    if let Some((_, hint)) = WORDS.iter().find(|(words, _)| words.contains(&name)) {
        return Some((*hint).to_owned());
    }
    let behind = after.strip_prefix(name).unwrap_or_default().trim_start();
    if behind.starts_with(":=") || behind.starts_with(',') {
        return Some(format!("the name of a variable begins with `$`: `${name}`"));
    }
    const ABSENT: &[&str] = &[
        "env",
        "expandenv",
        "now",
        "ago",
        "getHostByName",
        "date",
        "dateInZone",
        "dateModify",
        "date_modify",
        "date_in_zone",
        "duration",
        "durationRound",
        "htmlDate",
        "htmlDateInZone",
        "toDate",
        "mustToDate",
        "unixEpoch",
        "uuidv4",
        "randAlphaNum",
        "randAlpha",
        "randAscii",
        "randNumeric",
        "randBytes",
        "randInt",
        "shuffle",
        "genPrivateKey",
        "genCA",
        "genCAWithKey",
        "genSelfSignedCert",
        "genSelfSignedCertWithKey",
        "genSignedCert",
        "genSignedCertWithKey",
        "buildCustomCert",
        "derivePassword",
        "bcrypt",
        "htpasswd",
        "encryptAES",
        "decryptAES",
    ];
    if ABSENT.contains(&name) {
        let hint = "functions that look at the host or its clock, or need chance, are not available";
        return Some(hint.to_owned());
    }
    if before.trim_end().ends_with("template") {
        return Some(format!("the name of a template stands in quotes: `{{{{template \"{name}\" .}}}}`"));
    }
    if name.starts_with(char::is_uppercase) {
        return Some(format!("members of the root begin with a dot: `.{name}`"));
    }
    let near = functions::names().min_by_key(|known| distance(known, name))?;
    if distance(near, name) <= name.len() / 3 {
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

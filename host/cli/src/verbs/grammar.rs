//! From rows of the table to commands.

use std::collections::BTreeSet;

use clap::{
    Arg, ArgAction, Command,
    builder::{PossibleValuesParser, ValueParser},
};

use super::{Flag, Verb};

/// One argument of a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The name of a value, or the fixed words with `|` between alternatives.
    pub(super) name: &'static str,
    /// True for fixed words.
    pub(super) is_word: bool,
    /// True when it may be left out.
    pub(super) is_optional: bool,
    /// True when it may be repeated.
    pub(super) is_many: bool,
}

/// Reads the arguments of a verb as a row writes them.
pub(super) fn tokens(args: &'static str) -> Vec<Token> {
    let mut depth = 0_usize;
    let mut tokens = Vec::new();
    for part in args.split_whitespace() {
        depth += part.matches('[').count();
        let closed = part.matches(']').count();
        let bare = part.trim_matches(['[', ']']);
        let (name, is_many) = match bare.strip_suffix("...") {
            Some(name) => (name.trim_end_matches(']'), true),
            None => (bare, false),
        };
        let is_word = !name.starts_with(|first: char| first.is_ascii_uppercase());
        tokens.push(Token { name, is_word, is_optional: depth > 0, is_many });
        depth = depth.saturating_sub(closed);
    }
    tokens
}

/// Returns the command of a first word with its verbs.
pub(super) fn command(name: &'static str, about: &str, verbs: &[&'static Verb]) -> Command {
    let command = Command::new(name).about(about.to_owned());
    let path = format!("formwork {name}");
    match verbs {
        [verb] if verb.words.is_empty() => arguments(command, verb, &path),
        verbs => {
            let rows: Vec<(&str, &'static Verb)> = verbs.iter().map(|verb| (verb.words, *verb)).collect();
            group(command, &rows, &path)
        }
    }
}

/// Adds verbs to a command, by their first word. A word can be a verb and begin others: `meta ID`, `meta set ID ...`.
fn group(command: Command, rows: &[(&'static str, &'static Verb)], path: &str) -> Command {
    let mut seen = BTreeSet::new();
    let mut command = command;
    for (words, _) in rows {
        let first = words.split(' ').next().unwrap_or_default();
        if first.is_empty() || !seen.insert(first) {
            continue;
        }
        let below: Vec<(&str, &'static Verb)> = rows
            .iter()
            .filter_map(|(words, verb)| {
                let rest = words.strip_prefix(first)?;
                let rest = if rest.is_empty() { rest } else { rest.strip_prefix(' ')? };
                Some((rest, *verb))
            })
            .collect();
        let own = below.iter().find(|(words, _)| words.is_empty()).map(|(_, verb)| *verb);
        let path = format!("{path} {first}");
        let mut inner = Command::new(first);
        if below.len() > usize::from(own.is_some()) {
            let more: Vec<&str> =
                below.iter().map(|(words, _)| *words).filter(|words| !words.is_empty()).collect();
            inner = group(inner.about(format!("Has more verbs: {}", more.join(", "))), &below, &path);
        }
        if let Some(verb) = own {
            let has_more = inner.has_subcommands();
            inner = arguments(inner, verb, &path);
            if has_more {
                inner = inner
                    .subcommand_required(false)
                    .arg_required_else_help(true)
                    .args_conflicts_with_subcommands(true)
                    .subcommand_negates_reqs(true);
            }
        }
        command = command.subcommand(inner);
    }
    command.subcommand_required(true).arg_required_else_help(true)
}

/// Adds the arguments and the flags of a verb.
fn arguments(command: Command, verb: &'static Verb, path: &str) -> Command {
    let tokens = tokens(verb.args);
    let flags = if verb.flags.is_empty() { "" } else { " [FLAGS]" };
    let usage = format!("{path} {}{flags}", verb.args);
    let mut command = command.about(verb.about).override_usage(usage.trim().replace("  ", " "));
    for (place, token) in tokens.iter().enumerate() {
        let mut arg = Arg::new(token.name).required(!token.is_optional);
        if token.is_word {
            let words: Vec<&'static str> = token.name.split('|').collect();
            arg = arg.value_parser(PossibleValuesParser::new(words)).hide(true);
            if let Some(value) = tokens.get(place + 1).filter(|next| token.is_optional && !next.is_word) {
                arg = arg.requires(value.name);
            }
        } else {
            arg = arg.value_name(token.name).help(help(token.name));
            arg = if takes_anything(token.name) {
                arg.allow_hyphen_values(true)
            } else {
                arg.allow_negative_numbers(true)
            };
        }
        if token.is_many {
            arg = if token.is_optional { arg.num_args(0..) } else { arg.num_args(1..) };
        }
        command = command.arg(arg);
    }
    command.args(verb.flags.iter().map(flag))
}

fn flag(flag: &'static Flag) -> Arg {
    let arg = Arg::new(flag.name).long(flag.name).help(flag.help).help_heading("Flags");
    let arg = match also(flag.name) {
        Some(name) => arg.visible_alias(name),
        None => arg,
    };
    match flag.value {
        None => arg.action(ArgAction::SetTrue),
        Some("N") => {
            let number: fn(&str) -> Result<String, String> =
                |text| text.parse::<u64>().map(|_| text.to_owned()).map_err(|error| error.to_string());
            arg.value_name("N").value_parser(ValueParser::new(number))
        }
        // These can be given several times.
        Some(name @ ("INDEX" | "PATH")) => arg.value_name(name).action(ArgAction::Append),
        Some(name) => arg.value_name(name),
    }
}

/// Returns another name of a flag, which operators know it by too.
fn also(flag: &str) -> Option<&'static str> {
    (flag == "failed-after").then_some("fail-after")
}

/// Tells whether a value may begin with a dash.
fn takes_anything(name: &str) -> bool {
    matches!(name, "VALUE" | "JSON" | "TEXT" | "PATCH" | "ARGUMENT")
}

/// Says what a value is.
fn help(name: &str) -> &'static str {
    match name {
        "ID" => "The key, or INDEX:VALUE such as Name:fred",
        "JSON" | "VALUE" | "NEW" => "JSON or YAML; `-` is standard input, @FILE a file",
        "PATCH" => "A JSON patch, or the object as it is to be; `-` is standard input, @FILE a file",
        "OLD" => "The key; or the whole object as it was, when the object as it is to be follows",
        "FILTER" => "Such as Name=fred or CurrentTask='Gt(2)'; sort=NAME, limit=N and others of a list",
        "KEY" => "The name",
        "TEXT" => "The words; `-` is standard input, @FILE a file",
        "FILE" => "The file; `-` is standard input",
        "SOURCE" => "The file, or a URL; `-` is standard input",
        "MEMBER" => "The member, or a JSON pointer such as /Meta/color",
        "SECONDS" => "How long [default: a day]",
        "SECONDS|TARGET" => "How long the endpoint looks at itself, or the file [default: standard output]",
        "SOCKET" => "A path, or a loopback address such as 127.0.0.1:8099",
        "ARGUMENT" => "Flags, the filter and files as jq has them",
        "PAIR" => "Names and values in turn, or a JSON map",
        "ACTION" => "The action",
        "FOLDER" => "The folder [default: the top, or this one]",
        "TARGET" => "The name that it gets [default: its own]",
        "EVENT" => "TYPE.ACTION.KEY, each `*` or a comma list [default: *.*.*]",
        _ => "",
    }
}

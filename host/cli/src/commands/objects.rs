//! The verbs that all object types share, made from the list of kinds (drp-behaviour.md 10.3).

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use formwork_client::{PatchOp, Query, merged};
use formwork_model::{KINDS, Kind, Surface};
use serde_json::Value;

use super::{Context, jobs, machines, users};
use crate::{
    arguments::{optional, text, texts},
    failure::UsageError,
    input,
};

/// How long `wait` waits: a day, as the ecosystem's tools do.
const WAIT_SECONDS: u64 = 86_400;

/// Returns the types that have the common verbs; others have commands of their own.
pub(super) fn kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().copied().filter(|kind| kind.surface == Surface::Generic)
}

/// Returns one command for each type.
pub(super) fn commands() -> impl Iterator<Item = Command> {
    kinds().map(|kind| {
        let command = Command::new(kind.prefix)
            .about(format!("Lists, shows and changes objects of the type {}", kind.noun))
            .subcommand_required(true)
            .subcommands(verbs(kind));
        let command = if kind.bears_params { command.subcommands(param_verbs()) } else { command };
        match kind.prefix {
            "machines" => machines::extend(command),
            "jobs" => jobs::extend(command),
            "users" => users::extend(command),
            _ => command,
        }
    })
}

fn id() -> Arg {
    Arg::new("id").value_name("ID").help("The key, or INDEX:VALUE such as Name:fred").required(true)
}

fn filters() -> Arg {
    Arg::new("filters")
        .value_name("NAME=VALUE")
        .help("Such as Name=fred or CurrentTask='Gt(2)'")
        .num_args(0..)
}

fn members() -> [Arg; 2] {
    [
        Arg::new("slim").long("slim").value_name("MEMBERS").help("Leave these members out, a comma list"),
        Arg::new("params").long("params").value_name("NAMES").help("Keep only these params, a comma list"),
    ]
}

fn aggregate() -> Arg {
    Arg::new("aggregate").long("aggregate").action(ArgAction::SetTrue).help("Add params from all sources")
}

fn json_argument(name: &'static str) -> Arg {
    Arg::new(name).value_name("JSON").help("JSON or YAML; `-` is standard input, @FILE a file").required(true)
}

fn verbs(kind: &Kind) -> Vec<Command> {
    let noun = kind.noun;
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(value_parser!(u64)).help(help)
    };
    vec![
        Command::new("list")
            .about("Lists the objects that match all filters")
            .arg(filters())
            .arg(number("limit", "Show at most so many"))
            .arg(number("offset", "Leave out so many first"))
            .arg(Arg::new("sort").long("sort").value_name("INDEX").action(ArgAction::Append))
            .arg(Arg::new("reverse").long("reverse").action(ArgAction::SetTrue))
            .arg(aggregate())
            .args(members()),
        Command::new("count").about("Counts the objects that match all filters").arg(filters()),
        Command::new("show").about(format!("Shows a {noun}")).arg(id()).arg(aggregate()).args(members()),
        Command::new("exists")
            .about(format!("Tells by its exit code whether there is such a {noun}"))
            .arg(id()),
        Command::new("etag").about("Shows a tag that changes whenever the object does").arg(id()),
        Command::new("create")
            .about(format!("Makes a {noun}, from JSON or from a bare name"))
            .arg(json_argument("object")),
        Command::new("update")
            .about("Changes the members that are given; null removes")
            .arg(id())
            .arg(json_argument("object")),
        Command::new("patch")
            .about("Applies a JSON patch")
            .arg(id())
            .arg(json_argument("object").value_name("PATCH")),
        Command::new("destroy").about(format!("Removes a {noun}")).arg(id()),
        Command::new("wait")
            .about("Waits until a member has a value; prints `complete` or `timeout`")
            .arg(id())
            .arg(Arg::new("member").required(true))
            .arg(Arg::new("value").required(true).allow_hyphen_values(true))
            .arg(Arg::new("seconds").value_parser(value_parser!(u64))),
    ]
}

fn param_verbs() -> Vec<Command> {
    let word = |name: &'static str| Arg::new(name).value_parser([name]).required(true).hide(true);
    let key = || Arg::new("key").value_name("KEY").required(true);
    vec![
        Command::new("params")
            .about("Shows all params, or replaces them")
            .arg(id())
            .arg(json_argument("object").required(false))
            .arg(aggregate()),
        Command::new("get")
            .about("Shows a param: get ID param KEY")
            .arg(id())
            .arg(word("param"))
            .arg(key())
            .arg(aggregate()),
        Command::new("set")
            .about("Sets a param: set ID param KEY to VALUE")
            .arg(id())
            .arg(word("param"))
            .arg(key())
            .arg(word("to"))
            .arg(json_argument("object").value_name("VALUE").allow_hyphen_values(true)),
        Command::new("remove")
            .about("Removes a param: remove ID param KEY")
            .arg(id())
            .arg(word("param"))
            .arg(key()),
    ]
}

/// Runs a verb of a type.
pub(super) async fn run(kind: &Kind, matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let Some((verb, matches)) = matches.subcommand() else { return Ok(()) };
    let own = match kind.prefix {
        "machines" => machines::run(verb, matches, context).await?,
        "jobs" => jobs::run(verb, matches, context).await?,
        "users" => users::run(verb, matches, context).await?,
        _ => false,
    };
    if own {
        return Ok(());
    }
    match verb {
        "list" | "count" => many(verb, kind, matches, context).await,
        "params" | "get" | "set" | "remove" => param(verb, kind, matches, context).await,
        _ => one(verb, kind, matches, context).await,
    }
}

async fn many(verb: &str, kind: &Kind, matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let collection = client.collection(kind.prefix);
    let query = query_of_filters(texts(matches, "filters"))?;
    if verb == "count" {
        return context.out.line(&collection.count(&query).await?.to_string());
    }
    let query = query_of_members(query, matches);
    let mut query = page(query, matches);
    // People read a list of jobs as what happened; programs get the keys in order, as of every type.
    if kind.prefix == "jobs" && context.out.is_table() && texts(matches, "sort").next().is_none() {
        query.push("sort", "StartTime");
    }
    context.out.value(&collection.list(&query).await?, kind.columns)
}

async fn one(verb: &str, kind: &Kind, matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let collection = client.collection(kind.prefix).force(context.settings.force);
    let id = if matches.try_contains_id("id").is_ok() { text(matches, "id") } else { "" };
    let argument = || text(matches, "object");
    let object = match verb {
        "show" => collection.show(id, &query_of_members(Query::new(), matches)).await?,
        "create" => collection.create(&input::object(kind, argument())?).await?,
        "update" => {
            let changes = input::value(argument())?;
            change(context, kind.prefix, id, |object| *object = merged(object, &changes)).await?
        }
        "patch" => collection.patch(id, &operations(input::value(argument())?)?).await?,
        "destroy" => {
            collection.destroy(id).await?;
            return context.out.line(&format!("Deleted {} {id}", kind.noun));
        }
        "etag" => return context.out.line(&collection.etag(id).await?),
        "wait" => return wait(kind, matches, context).await,
        // A HEAD has no words; a GET that fails the same way has them.
        _ if collection.exists(id).await? => return Ok(()),
        _ => {
            collection.show(id, &Query::new()).await?;
            return Ok(());
        }
    };
    context.out.value(&object, &[])
}

async fn param(verb: &str, kind: &Kind, matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let client = context.client()?;
    let collection = client.collection(kind.prefix).force(context.settings.force);
    let id = text(matches, "id");
    let value = match verb {
        "params" => match optional(matches, "object") {
            Some(params) => collection.params_set(id, &input::value(params)?).await?,
            None => Value::Object(collection.params(id, matches.get_flag("aggregate")).await?),
        },
        "get" => collection.param(id, text(matches, "key"), matches.get_flag("aggregate")).await?,
        "set" => {
            let value = input::value(text(matches, "object"))?;
            collection.param_set(id, text(matches, "key"), &value).await?
        }
        _ => collection.param_remove(id, text(matches, "key")).await?,
    };
    context.out.value(&value, &[])
}

/// Reads an object, changes it here, and sends the difference, which fails when somebody else was faster.
pub(super) async fn change(
    context: &Context,
    prefix: &str,
    id: &str,
    edit: impl FnOnce(&mut Value),
) -> Result<Value> {
    let client = context.client()?;
    let collection = client.collection(prefix).force(context.settings.force);
    let old = collection.show(id, &Query::new()).await?;
    let mut new = old.clone();
    edit(&mut new);
    let operations = PatchOp::between(&old, &new);
    if operations.is_empty() {
        return Ok(old);
    }
    Ok(collection.patch(id, &operations).await?)
}

async fn wait(kind: &Kind, matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let (member, wanted) = (text(matches, "member"), text(matches, "value"));
    let seconds = matches.get_one::<u64>("seconds").copied().unwrap_or(WAIT_SECONDS);
    let client = context.client()?;
    let reached = client.wait_for(kind.prefix, text(matches, "id"), |object| has(object, member, wanted));
    match tokio::time::timeout(Duration::from_secs(seconds), reached).await {
        Ok(object) => {
            object?;
            context.out.line("complete")
        }
        Err(_) => {
            context.out.line("timeout")?;
            bail!("`{member}` did not become `{wanted}` in {seconds} s")
        }
    }
}

/// Tells whether a member has a value, which is JSON or a bare text. A member that begins with `/` is a JSON pointer.
fn has(object: &Value, member: &str, wanted: &str) -> bool {
    let found = if member.starts_with('/') { object.pointer(member) } else { object.get(member) };
    let Some(found) = found else { return false };
    found.as_str() == Some(wanted) || serde_json::from_str::<Value>(wanted).is_ok_and(|value| *found == value)
}

fn query_of_filters<'a>(filters: impl Iterator<Item = &'a str>) -> Result<Query> {
    let mut query = Query::new();
    for filter in filters {
        let Some((name, value)) = filter.split_once('=') else {
            bail!(UsageError(format!("filter `{filter}` is not of the form NAME=VALUE")));
        };
        query.push(name, value);
    }
    Ok(query)
}

/// Adds which members an answer is to hold.
fn query_of_members(mut query: Query, matches: &ArgMatches) -> Query {
    for name in ["slim", "params"] {
        if let Some(value) = optional(matches, name) {
            query.push(name, value);
        }
    }
    if matches.get_flag("aggregate") {
        query.push("aggregate", true);
    }
    query
}

fn page(mut query: Query, matches: &ArgMatches) -> Query {
    for name in ["limit", "offset"] {
        if let Some(number) = matches.get_one::<u64>(name) {
            query.push(name, number);
        }
    }
    for index in texts(matches, "sort") {
        query.push("sort", index);
    }
    if matches.get_flag("reverse") {
        query.push("reverse", true);
    }
    query
}

/// Reads the operations of a JSON patch.
fn operations(patch: Value) -> Result<Vec<PatchOp>> {
    serde_json::from_value(patch)
        .map_err(|error| UsageError(format!("this is no JSON patch: {error}")).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn member_is_compared_as_text_and_as_json() {
        let object =
            json!({"State": "finished", "WorkflowComplete": true, "CurrentTask": -1, "Meta": {"a": "b"}});
        assert!(has(&object, "State", "finished"));
        assert!(has(&object, "WorkflowComplete", "true"));
        assert!(has(&object, "CurrentTask", "-1"));
        assert!(has(&object, "/Meta/a", "b"));
        assert!(!has(&object, "State", "failed") && !has(&object, "Missing", ""));
    }

    #[test]
    fn filters_keep_their_order_and_their_operators() {
        let query = query_of_filters(["Name=Re(a=b)", "Name=x"].into_iter()).unwrap();
        assert_eq!(query, Query::new().with("Name", "Re(a=b)").with("Name", "x"));
        assert!(query_of_filters(["Name"].into_iter()).is_err());
    }

    #[test]
    fn params_belong_to_machines_and_profiles_and_not_to_users() {
        let bears = |prefix| formwork_model::kind_of(prefix).unwrap().bears_params;
        assert!(bears("machines") && bears("profiles"));
        assert!(!bears("users"));
    }

    #[test]
    fn words_of_the_param_verbs_are_checked() {
        let parse = |line: &str| super::super::command(false).try_get_matches_from(line.split(' '));
        assert!(parse("formwork machines set x param a/b to -1").is_ok());
        assert!(parse("formwork machines get x param a/b --aggregate").is_ok());
        assert!(parse("formwork machines set x param a/b for 1").is_err());
    }
}

//! The verbs that every type of object has, in the grammar of the ecosystem's command line.

use anyhow::{Context, bail};
use clap::{Arg, ArgMatches, Command};
use formwork_client::{Collection, PatchOp, Query};
use formwork_model::{Kind, kind_of};
use serde_json::{Map, Value, json};

use super::input::{parse, source, text, texts, word, words};
use crate::session::Session;

/// Returns the command of a type with the verbs that all have.
pub(crate) fn command(kind: &'static Kind) -> Command {
    let noun = kind.noun;
    let about = |verb: &str| format!("{verb} a {noun}");
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_parser(clap::value_parser!(u64)).help(help)
    };
    let list = Command::new("list")
        .about(format!("List every {noun}; INDEX=VALUE or INDEX=Op(VALUE) filters"))
        .arg(words("filters", "Filters such as Name=x or Available=Eq(true)"))
        .arg(number("limit", "At most so many"))
        .arg(number("offset", "Skip so many"))
        .arg(Arg::new("sort").long("sort").help("Sort by this member"))
        .arg(Arg::new("reverse").long("reverse").action(clap::ArgAction::SetTrue).help("Reverse the order"))
        .arg(Arg::new("slim").long("slim").help("Leave these members out, as a comma list"));
    let mut command = Command::new(kind.prefix)
        .about(format!("Work with every {noun}"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(list)
        .subcommand(
            Command::new("count").about(format!("Count every {noun} that filters match")).arg(words("filters", "Filters")),
        )
        .subcommand(Command::new("show").about(about("Show")).arg(word("id", "Key or INDEX:VALUE")))
        .subcommand(Command::new("exists").about(about("Succeed if there is such")).arg(word("id", "Key or INDEX:VALUE")))
        .subcommand(
            Command::new("create").about(about("Create")).arg(word("object", "JSON, YAML, a file, a bare name, or - for standard input")),
        )
        .subcommand(
            Command::new("update")
                .about(format!("Merge changes into a {noun}"))
                .arg(word("id", "Key or INDEX:VALUE"))
                .arg(word("object", "What changes: JSON, YAML, a file, or -")),
        )
        .subcommand(
            Command::new("patch")
                .about(format!("Change a {noun} by RFC 6902"))
                .arg(word("id", "Key or INDEX:VALUE"))
                .arg(word("operations", "A JSON array of operations, a file, or -")),
        )
        .subcommand(Command::new("destroy").about(about("Delete")).arg(word("id", "Key or INDEX:VALUE")));
    if bears_params(kind) {
        command = command.subcommands(param_verbs(noun));
    }
    command
}

fn bears_params(kind: &Kind) -> bool {
    (kind.decode)(json!({})).is_ok_and(|blank| blank.params().is_some())
}

fn param_verbs(noun: &str) -> [Command; 4] {
    let aggregate = || {
        Arg::new("aggregate").long("aggregate").action(clap::ArgAction::SetTrue).help("Look in all sources, not only in the object's own")
    };
    [
        Command::new("params")
            .about(format!("Show or replace the parameters of a {noun}"))
            .arg(word("id", "Key or INDEX:VALUE"))
            .arg(Arg::new("object").help("A map of all parameters: JSON, YAML, a file, or -"))
            .arg(aggregate()),
        Command::new("get")
            .about("Show one parameter: get ID param NAME")
            .arg(word("id", "Key or INDEX:VALUE"))
            .arg(word("param", "The word param"))
            .arg(word("name", "The parameter"))
            .arg(aggregate()),
        Command::new("set")
            .about("Set one parameter: set ID param NAME to VALUE")
            .arg(word("id", "Key or INDEX:VALUE"))
            .arg(word("param", "The word param"))
            .arg(word("name", "The parameter"))
            .arg(word("to", "The word to"))
            .arg(word("value", "JSON; what is no JSON counts as a string")),
        Command::new("remove")
            .about("Remove one parameter: remove ID param NAME")
            .arg(word("id", "Key or INDEX:VALUE"))
            .arg(word("param", "The word param"))
            .arg(word("name", "The parameter")),
    ]
}

/// Runs a verb.
pub(crate) async fn run(session: &Session, prefix: &str, verb: &str, matches: &ArgMatches) -> anyhow::Result<()> {
    let kind = kind_of(prefix).with_context(|| format!("there is no type `{prefix}`"))?;
    let objects = session.client.collection(prefix).force(session.force);
    match verb {
        "list" => session.output.value(prefix, &objects.list(&query(matches)?).await?),
        "count" => session.output.line(&objects.count(&query(matches)?).await?.to_string()),
        "show" => session.output.value(prefix, &objects.show(text(matches, "id")?, &Query::new()).await?),
        "exists" => {
            let id = text(matches, "id")?;
            if !objects.exists(id).await? {
                bail!("{prefix}/{id}: Not Found");
            }
            Ok(())
        }
        "create" => {
            let object = created(kind, text(matches, "object")?)?;
            session.output.value(prefix, &objects.create(&object).await?)
        }
        "update" => {
            let id = text(matches, "id")?;
            let wanted = parse(&source(text(matches, "object")?)?)?;
            let old = objects.show(id, &Query::new()).await?;
            let new = formwork_client::merged(&old, &wanted);
            session.output.value(prefix, &objects.patch(id, &PatchOp::between(&old, &new)).await?)
        }
        "patch" => {
            let operations: Vec<PatchOp> = serde_json::from_value(parse(&source(text(matches, "operations")?)?)?)?;
            session.output.value(prefix, &objects.patch(text(matches, "id")?, &operations).await?)
        }
        "destroy" => {
            let id = text(matches, "id")?;
            objects.destroy(id).await?;
            session.output.line(&format!("Deleted {} {id}", kind.noun))
        }
        _ => params(session, &objects, verb, matches).await,
    }
}

async fn params(session: &Session, objects: &Collection<'_>, verb: &str, matches: &ArgMatches) -> anyhow::Result<()> {
    let id = text(matches, "id")?;
    if verb == "params" {
        let shown: Value = match matches.get_one::<String>("object") {
            Some(object) => objects.params_set(id, &parse(&source(object)?)?).await.map(|set| json!(set))?,
            None => objects.params(id, matches.get_flag("aggregate")).await.map(Value::Object)?,
        };
        return session.output.value("", &shown);
    }
    if text(matches, "param")? != "param" {
        bail!("the grammar is `{verb} ID param NAME{}`", if verb == "set" { " to VALUE" } else { "" });
    }
    let name = text(matches, "name")?;
    let value = match verb {
        "get" => objects.param(id, name, matches.get_flag("aggregate")).await?,
        "remove" => objects.param_remove(id, name).await?,
        _ => {
            let given = source(text(matches, "value")?)?;
            let value = serde_json::from_str(&given).unwrap_or(Value::String(given));
            objects.param_set(id, name, &value).await?
        }
    };
    session.output.value("", &value)
}

/// A bare word is the name of a new object.
fn created(kind: &Kind, given: &str) -> anyhow::Result<Value> {
    let read = source(given)?;
    let value = parse(&read).unwrap_or(Value::String(read));
    match value {
        Value::Object(_) => Ok(value),
        Value::String(name) => {
            let member = if kind.key == "Uuid" { "Name" } else { kind.key };
            Ok(Value::Object(Map::from_iter([(member.to_owned(), Value::String(name))])))
        }
        other => bail!("an object or a name is needed, not `{other}`"),
    }
}

fn query(matches: &ArgMatches) -> anyhow::Result<Query> {
    let mut query = Query::new();
    for filter in texts(matches, "filters") {
        let (name, value) = filter
            .split_once('=')
            .with_context(|| format!("`{filter}` is not of the form INDEX=VALUE or INDEX=Op(VALUE)"))?;
        query.push(name, value);
    }
    for name in ["sort", "slim"] {
        if let Ok(Some(value)) = matches.try_get_one::<String>(name) {
            query.push(name, value);
        }
    }
    for name in ["limit", "offset"] {
        if let Ok(Some(value)) = matches.try_get_one::<u64>(name) {
            query.push(name, value);
        }
    }
    if matches!(matches.try_get_one::<bool>("reverse"), Ok(Some(true))) {
        query.push("reverse", true);
    }
    Ok(query)
}

//! The verbs of all types and of all that is no type, as one table.
//!
//! A row says the words of a verb, its arguments as a user reads them, and what it does: one request, an edit of an
//! object, or code of its own. The commands of the program, their help, completion and the test of completeness follow
//! from the table, so that a new type is no new code here.

mod actions;
mod agent;
mod boot;
mod bundles;
mod catalog;
mod contents;
mod edit;
mod events;
mod fetch;
mod files;
mod given;
mod grammar;
mod list;
mod loaders;
mod local;
mod machines;
mod meta;
mod objects;
mod params;
mod pools;
mod proxy;
mod request;
mod rows;
mod sealing;
mod system;
mod transfer;
mod wait;

#[cfg(test)]
mod tests;

use std::{future::Future, pin::Pin};

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command};
use formwork_client::Query;
use formwork_model::{KINDS, Kind, Surface, built_in, declare};
use serde_json::Value;

pub(crate) use self::given::Given;
use crate::{arguments::text, commands::Context, failure::UsageError};

/// One verb.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verb {
    /// What it is for.
    pub(crate) on: On,
    /// Its words behind the type: `show`, `meta set`; none for a command that is a verb itself.
    pub(crate) words: &'static str,
    /// Its arguments as a user reads them: `ID key KEY to VALUE`. Capitals are values, the rest are fixed words of which
    /// `|` separates alternatives, brackets hold what may be left out, dots follow what may be repeated.
    pub(crate) args: &'static str,
    /// What it is for, in one sentence.
    pub(crate) about: &'static str,
    /// Its own flags.
    pub(crate) flags: &'static [Flag],
    /// What it does.
    pub(crate) does: Does,
}

/// What a verb is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// Every type of object.
    Every,
    /// Types whose objects have params.
    Params,
    /// Types whose objects have actions of plugins.
    Actions,
    /// These types and other first words.
    Only(&'static [&'static str]),
}

impl On {
    fn fits(self, kind: &Kind) -> bool {
        match self {
            Self::Every => true,
            Self::Params => kind.bears_params,
            Self::Actions => kind.plugin_actions.is_some(),
            Self::Only(names) => names.contains(&kind.prefix),
        }
    }
}

/// A flag of a verb.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Its long name.
    pub(crate) name: &'static str,
    /// What its value is called; a flag that has none is a switch.
    pub(crate) value: Option<&'static str>,
    /// The member of the query that it becomes; nothing for one that the verb looks at itself.
    pub(crate) query: Option<&'static str>,
    /// What it is for.
    pub(crate) help: &'static str,
}

impl Flag {
    /// A switch that is a member of the query.
    pub(crate) const fn switch(name: &'static str, query: &'static str, help: &'static str) -> Self {
        Self { name, value: None, query: Some(query), help }
    }

    /// A value that is a member of the query.
    pub(crate) const fn value(
        name: &'static str,
        value: &'static str,
        query: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, value: Some(value), query: Some(query), help }
    }

    /// A flag that the verb looks at itself.
    pub(crate) const fn own(name: &'static str, value: Option<&'static str>, help: &'static str) -> Self {
        Self { name, value, query: None, help }
    }
}

/// What a verb does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// One request.
    Ask(Ask),
    /// Reads the object `ID`, changes it here, and sends the difference.
    Edit(fn(&Given<'_>, &mut Value) -> Result<()>),
    /// Code of its own.
    Own(for<'a> fn(Given<'a>, &'a mut Context) -> Work<'a>),
    /// The same, that needs no endpoint.
    Local(for<'a> fn(Given<'a>, &'a mut Context) -> Work<'a>),
}

/// Work that goes on.
pub(crate) type Work<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One request and what is shown of its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// The method.
    pub(crate) method: Http,
    /// The path below the base path: `{type}` is the type, `{ID}` an argument, `{ID?}` one that may be left out, `{KEY/}`
    /// one whose slashes are slashes of the path.
    pub(crate) route: &'static str,
    /// Makes what the query has beside the flags.
    pub(crate) query: Option<fn(&Given<'_>) -> Result<Query>>,
    /// Makes the body.
    pub(crate) body: Option<fn(&Given<'_>) -> Result<Value>>,
    /// What is shown.
    pub(crate) shows: Shows,
}

/// The methods of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    /// Reads.
    Get,
    /// Adds, or does something.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

/// What is shown of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shows {
    /// The value; a list in a table with these columns, or with those of the type.
    Value(&'static [&'static str]),
    /// The bytes as they are.
    Raw,
    /// That it is done, in these words; `{ID}` is an argument, `{noun}` what an object is called.
    Done(&'static str),
}

impl Verb {
    /// A verb that is one request.
    pub(crate) const fn ask(
        on: On,
        words: &'static str,
        args: &'static str,
        (method, route): (Http, &'static str),
        about: &'static str,
    ) -> Self {
        let ask = Ask { method, route, query: None, body: None, shows: Shows::Value(&[]) };
        Self { on, words, args, about, flags: &[], does: Does::Ask(ask) }
    }

    /// A verb that changes an object.
    pub(crate) const fn edit(
        on: On,
        words: &'static str,
        args: &'static str,
        edit: fn(&Given<'_>, &mut Value) -> Result<()>,
        about: &'static str,
    ) -> Self {
        Self { on, words, args, about, flags: &[], does: Does::Edit(edit) }
    }

    /// A verb with code of its own.
    pub(crate) const fn own(
        on: On,
        words: &'static str,
        args: &'static str,
        run: for<'a> fn(Given<'a>, &'a mut Context) -> Work<'a>,
        about: &'static str,
    ) -> Self {
        Self { on, words, args, about, flags: &[], does: Does::Own(run) }
    }

    /// A verb with code of its own that needs no endpoint.
    pub(crate) const fn local(
        on: On,
        words: &'static str,
        args: &'static str,
        run: for<'a> fn(Given<'a>, &'a mut Context) -> Work<'a>,
        about: &'static str,
    ) -> Self {
        Self { on, words, args, about, flags: &[], does: Does::Local(run) }
    }

    /// Gives the verb flags.
    pub(crate) const fn flags(self, flags: &'static [Flag]) -> Self {
        Self { flags, ..self }
    }

    /// Gives the request a body.
    pub(crate) const fn body(self, body: fn(&Given<'_>) -> Result<Value>) -> Self {
        match self.does {
            Does::Ask(ask) => Self { does: Does::Ask(Ask { body: Some(body), ..ask }), ..self },
            _ => self,
        }
    }

    /// Gives the request a query beside the flags.
    pub(crate) const fn query(self, query: fn(&Given<'_>) -> Result<Query>) -> Self {
        match self.does {
            Does::Ask(ask) => Self { does: Does::Ask(Ask { query: Some(query), ..ask }), ..self },
            _ => self,
        }
    }

    /// Says what is shown of the answer.
    pub(crate) const fn shows(self, shows: Shows) -> Self {
        match self.does {
            Does::Ask(ask) => Self { does: Does::Ask(Ask { shows, ..ask }), ..self },
            _ => self,
        }
    }
}

/// Returns the types that have the common verbs.
pub(crate) fn kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().copied().filter(|kind| kind.surface == Surface::Generic)
}

/// The first word of the verbs of types that somebody declared on the endpoint, as drpcli has it: `extended -l TYPE list`.
const EXTENDED: &str = "extended";

/// The flag that says which type is meant.
const LDATA: &str = "ldata";

/// Returns the verbs of a type or of another first word. One that is made for it takes the place of a common one.
pub(crate) fn verbs_of(name: &str) -> Vec<&'static Verb> {
    let own: Vec<&Verb> = rows::all().filter(|verb| is_own(verb, name)).collect();
    let kind = built_in(name).filter(|kind| kind.surface == Surface::Generic);
    let common = rows::all().filter(|verb| !matches!(verb.on, On::Only(_)));
    // Objects of declared types have all that objects can have.
    let common = common.filter(|verb| name == EXTENDED || kind.is_some_and(|kind| verb.on.fits(kind)));
    let mut verbs: Vec<&Verb> =
        common.filter(|verb| !own.iter().any(|special| special.words == verb.words)).collect();
    verbs.extend(own);
    verbs
}

fn is_own(verb: &Verb, name: &str) -> bool {
    matches!(verb.on, On::Only(names) if names.contains(&name))
}

/// Returns the first words of all verbs and what they are about: types first.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, String)> {
    let types = kinds()
        .map(|kind| (kind.prefix, format!("Lists, shows and changes objects of the type {}", kind.noun)));
    types.chain(rows::GROUPS.iter().map(|(name, about)| (*name, (*about).to_owned())))
}

/// Returns a command for each of them.
pub(crate) fn commands() -> impl Iterator<Item = Command> {
    names().map(|(name, about)| {
        let command = grammar::command(name, &about, &verbs_of(name));
        if name == EXTENDED { command.arg(ldata()) } else { command }
    })
}

fn ldata() -> Arg {
    let arg = Arg::new(LDATA).short('l').long(LDATA).value_name("TYPE").global(true);
    arg.help("The type of the objects, as GET /objects lists it").help_heading("Flags")
}

/// Returns the type that `-l` names. Whether the endpoint has it shows when it is asked.
fn extended(matches: &ArgMatches) -> Result<&'static Kind> {
    let name = text(matches, LDATA);
    if name.is_empty() {
        bail!(UsageError(String::from("the type is missing\nhint: name it with `-l TYPE`")));
    }
    let generic = built_in(name).filter(|kind| kind.surface == Surface::Generic);
    generic.map_or_else(|| declare(name).map_err(|error| UsageError(error.to_string()).into()), Ok)
}

/// Runs the verb that was given.
pub(crate) async fn run(name: &str, matches: &ArgMatches, context: &mut Context) -> Result<()> {
    let (mut words, mut innermost) = (Vec::new(), matches);
    while let Some((word, inner)) = innermost.subcommand() {
        words.push(word);
        innermost = inner;
    }
    let words = words.join(" ");
    let Some(verb) = verbs_of(name).into_iter().find(|verb| verb.words == words) else {
        bail!(UsageError(format!("there is no command `{name} {words}`")));
    };
    let Some((name, _)) = names().find(|(known, _)| *known == name) else {
        bail!(UsageError(format!("there is no command `{name}`")));
    };
    let kind = if name == EXTENDED { Some(extended(innermost)?) } else { built_in(name) };
    let name = kind.map_or(name, |kind| kind.prefix);
    let given = Given { name, kind, verb, matches: innermost };
    if !matches!(verb.does, Does::Local(_)) {
        context.settings.settle().await?;
    }
    match &verb.does {
        Does::Ask(ask) => request::run(&given, ask, context).await,
        Does::Edit(edit) => edit::run(&given, *edit, context).await,
        Does::Own(run) | Does::Local(run) => run(given, context).await,
    }
}

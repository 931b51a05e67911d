//! What only users have: passwords and tokens.

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command};
use formwork_client::Query;

use super::Context;
use crate::{
    arguments::{text, texts},
    failure::UsageError,
};

/// Adds the verbs that only users have.
pub(super) fn extend(command: Command) -> Command {
    command
        .subcommand(
            Command::new("password")
                .about("Sets the password of a user; all of the user's tokens end")
                .arg(Arg::new("id").required(true))
                // Not `password`: that is the flag of who calls.
                .arg(Arg::new("new-password").required(true)),
        )
        .subcommand(
            Command::new("token")
                .about("Shows a token of a user")
                .arg(Arg::new("id").required(true))
                .arg(Arg::new("pairs").value_name("ttl SECONDS | roles NAMES").num_args(0..)),
        )
}

/// Runs a verb that only users have. Returns false for any other.
pub(super) async fn run(verb: &str, matches: &ArgMatches, context: &mut Context) -> Result<bool> {
    let client = context.client()?;
    match verb {
        "password" => {
            let user = client.user_password(text(matches, "id"), text(matches, "new-password")).await?;
            context.out.value(&user, &[])?;
        }
        "token" => {
            let query = query(&texts(matches, "pairs").collect::<Vec<_>>())?;
            context.out.value(&client.user_token(text(matches, "id"), &query).await?, &[])?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads `ttl 600 roles a,b`.
pub(super) fn query(words: &[&str]) -> Result<Query> {
    let (pairs, rest) = words.as_chunks::<2>();
    if !rest.is_empty() {
        bail!(UsageError(format!("`{}` has no value", rest.join(" "))));
    }
    Ok(pairs.iter().fold(Query::new(), |query, [name, value]| query.with(*name, value)))
}

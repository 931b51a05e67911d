//! What users have beyond the common verbs.

use clap::{Arg, ArgMatches, Command};
use formwork_client::Query;

use super::input::{text, word};
use crate::session::Session;

/// Adds the verbs of users.
pub(crate) fn extend(command: Command) -> Command {
    command
        .subcommand(
            Command::new("password")
                .about("Set the password of a user; all tokens of the user end")
                .arg(word("id", "The user"))
                .arg(word("secret", "The new password")),
        )
        .subcommand(
            Command::new("token")
                .about("Make a token of a user")
                .arg(word("id", "The user"))
                .arg(Arg::new("ttl").long("ttl").default_value("3600").help("How long it lives: 600, 10m, 3y"))
                .arg(Arg::new("roles").long("roles").help("Narrow it to these roles, as a comma list")),
        )
}

/// Tells whether a verb is one of this file.
pub(crate) fn owns(verb: &str) -> bool {
    matches!(verb, "password" | "token")
}

/// Runs a verb.
pub(crate) async fn run(session: &Session, verb: &str, matches: &ArgMatches) -> anyhow::Result<()> {
    let name = text(matches, "id")?;
    if verb == "password" {
        return session.output.value("users", &session.client.user_password(name, text(matches, "secret")?).await?);
    }
    let mut query = Query::new().with("ttl", text(matches, "ttl")?);
    if let Some(roles) = matches.get_one::<String>("roles") {
        query.push("roles", roles);
    }
    session.output.value("", &session.client.user_token(name, &query).await?)
}

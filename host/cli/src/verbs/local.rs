//! What needs no endpoint: completion, fingerprints, hashes of passwords.

use std::{io, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use argon2::{Argon2, PasswordHasher as _};
use clap_complete::Shell;
use formwork_client::Client;
use sha2::{Digest as _, Sha256};

use super::{Given, transfer};
use crate::{
    commands::{self, Context},
    failure::{Filtered, UsageError},
    input, jq,
};

/// Writes what a shell needs to complete commands.
pub(super) async fn completion(given: Given<'_>, context: &mut Context) -> Result<()> {
    let shell: Shell = match given.text("SHELL") {
        "" => Shell::Bash,
        name => name.parse().map_err(|_| {
            UsageError(format!(
                "there is no completion for `{name}`\nhint: bash, elvish, fish, powershell or zsh"
            ))
        })?,
    };
    let script = script(shell, &called());
    transfer::write(&script, given.text("TARGET"), &mut context.out)
}

/// Returns the script of a shell, for the program under a name.
pub(super) fn script(shell: Shell, program: &str) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut commands::command(false), program, &mut text);
    text
}

/// Returns the name that this program was called by, which is what a shell completes.
fn called() -> String {
    let path = std::env::args_os().next().map(PathBuf::from);
    let name = path.as_deref().and_then(|path| path.file_stem()?.to_str());
    name.unwrap_or("formwork").to_owned()
}

/// Shows what this computer knows of itself.
pub(super) async fn fingerprint(_: Given<'_>, context: &mut Context) -> Result<()> {
    let found = formwork_agent::this_machine(&commands::agent_state_dir());
    context.out.value(&found, &[])
}

/// Filters JSON. The program comes here only when flags of its own stand before the word.
pub(super) async fn jq(given: Given<'_>, context: &mut Context) -> Result<()> {
    let words: Vec<_> = given.texts("ARGUMENT").into_iter().map(Into::into).collect();
    match jq::on_stack(&words, context.out.writer())?? {
        0 => Ok(()),
        code => Err(Filtered(code).into()),
    }
}

/// Shows the hardware and the system of this computer.
pub(super) async fn gohai(_: Given<'_>, context: &mut Context) -> Result<()> {
    context.out.value(&formwork_agent::inventory(), &[])
}

/// Asks which machine this computer is.
pub(super) async fn whoami(_: Given<'_>, context: &mut Context) -> Result<()> {
    let client: Client = context.client()?;
    let found = client.whoami(&formwork_agent::this_machine(&commands::agent_state_dir())).await?;
    if found.result.uuid.is_empty() {
        bail!("no machine of the endpoint is this one\nhint: `formwork agent` makes one");
    }
    context.out.value(&found.result, &[])
}

/// Shows the record of a password, as the member `PasswordHash` of a user holds it.
pub(super) async fn password_hash(given: Given<'_>, context: &mut Context) -> Result<()> {
    let secret = input::text(given.text("SECRET"))?;
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).map_err(io::Error::from).context("the system has no random numbers")?;
    let params = argon2::Params::new(8 << 10, 3, 1, None).unwrap_or_default();
    let hasher = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    match hasher.hash_password_with_salt(secret.trim_end_matches('\n').as_bytes(), &salt) {
        Ok(hash) => context.out.line(&hash.to_string()),
        Err(error) => bail!("the password has no hash: {error}"),
    }
}

/// Returns the SHA-256 of bytes as hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

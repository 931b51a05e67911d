//! Which endpoint is called, by whom, and how results are written: flags over `~/.drpclirc` over the environment
//! (drp-behaviour.md 10.3, drp-api.md 16.2).

mod named;
mod resolve;

#[cfg(test)]
mod tests;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::OnceLock,
    time::Duration,
};

use anyhow::Result;
use formwork_client::{Client, ClientError, Credentials, Endpoint};

use crate::{arguments::GlobalArgs, failure::UsageError, output::Style, token_cache::TokenCache};

/// How long one of several endpoints may take to say that it is there.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What every subcommand needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The endpoint and who calls.
    pub(crate) endpoint: Endpoint,
    /// Endpoints of which the first that answers is meant; empty when one was named.
    pub(crate) candidates: Vec<String>,
    /// How results are written.
    pub(crate) style: Style,
    /// Whether checks are relaxed.
    pub(crate) force: bool,
    /// The object as the caller knows it, as JSON, `-` or `@FILE`.
    pub(crate) reference: Option<String>,
    /// The catalog that was named.
    pub(crate) catalog: Option<String>,
    /// The socket of a local proxy.
    pub(crate) socket: Option<PathBuf>,
    /// The managed endpoint that is meant.
    pub(crate) behind: Option<String>,
    /// The proxy for downloads from elsewhere.
    pub(crate) download_proxy: Option<String>,
    /// Headers that make the endpoint log more.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// How often a request is sent again.
    pub(crate) retries: usize,
    /// Where tokens are kept; nothing when none is to be kept.
    pub(crate) tokens: Option<TokenCache>,
    /// The client once there is one: its connections serve all requests of a command.
    pub(crate) connected: OnceLock<Client>,
}

impl Settings {
    /// Gathers the settings of this call.
    pub(crate) fn gather(flags: &GlobalArgs) -> Result<Self> {
        resolve::resolve(flags, &named::Named::gather(), true)
    }

    /// Gathers the settings of a call that is not to go through a local proxy.
    pub(crate) fn gather_direct(flags: &GlobalArgs) -> Result<Self> {
        resolve::resolve(flags, &named::Named::gather(), false)
    }

    /// Finds the endpoint that is meant, and a token to show instead of the password.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        if !self.candidates.is_empty() {
            self.endpoint.url = self.first_that_answers().await?;
        }
        let Credentials::Basic { user, .. } = self.endpoint.credentials.clone() else { return Ok(()) };
        if let Some(tokens) = self.tokens.clone() {
            // A managed endpoint behind this one knows other tokens.
            let client = self.client()?;
            let token = tokens.token(&client, &self.endpoint.url, &user).await?;
            self.endpoint.credentials = token.map_or(self.endpoint.credentials.clone(), Credentials::Token);
        }
        Ok(())
    }

    /// Returns a client of the endpoint.
    pub(crate) fn client(&self) -> Result<Client> {
        if let Some(client) = self.connected.get() {
            return Ok(client.with_credentials(self.endpoint.credentials.clone()));
        }
        let mut client = Client::connect(self.endpoint.clone())?;
        if let Some(socket) = &self.socket {
            client = client.through_socket(socket)?;
        }
        for (name, value) in &self.headers {
            client = client.with_header(name, value)?;
        }
        if let Some(id) = &self.behind {
            client = client.of_managed(id)?;
        }
        let client = client.with_retries(self.retries, tell);
        Ok(self.connected.get_or_init(|| client).clone())
    }

    /// Asks one endpoint after the other who knows the caller.
    async fn first_that_answers(&self) -> Result<String> {
        let mut reasons = Vec::new();
        for url in &self.candidates {
            let credentials = self.endpoint.credentials.clone();
            let client = Client::connect(Endpoint { url: url.clone(), credentials })?;
            match tokio::time::timeout(PROBE_TIMEOUT, client.info()).await {
                Ok(Ok(_)) => return Ok(url.clone()),
                Ok(Err(error)) => reasons.push(format!("{url}: {}", error.chain())),
                Err(_) => reasons.push(format!("{url}: no answer in {} s", PROBE_TIMEOUT.as_secs())),
            }
        }
        Err(UsageError(format!("none of RS_ENDPOINTS answers\n  {}", reasons.join("\n  "))).into())
    }
}

/// Says that a request is sent again: without a word a program that waits looks as if it hung.
fn tell(error: &ClientError, wait: Duration) {
    let words = format!("{}; trying again in {} s\n", error.chain(), wait.as_secs());
    // Nobody is left to tell when standard error is closed.
    io::stderr().write_all(words.as_bytes()).ok();
}

//! Packs: sent as they are read, followed, rolled back.

use formwork_model::{GrantUse, InstalledPack};
use reqwest::Method;
use tokio::io::AsyncRead;

use crate::{Client, ClientError, Query, client::record, request::Body};

impl Client {
    /// Sends a pack file or a component of `length` bytes and returns its record, in which it is on its way; what it is
    /// and becomes, is to be followed there. It is never whole in memory; `sent` is called with the number of bytes that
    /// have gone so far.
    ///
    /// `query` may hold `grant` several times, `name` and `kind` for a component, `allow-downgrade`, `replaceWritable`,
    /// and `wait` to have an answer only when it is ready or refused.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 409 for an older version or a pack that is on its way, 413 for an upload that is too long,
    /// 422 for what is no pack.
    pub async fn pack_upload(
        &self,
        from: impl AsyncRead + Send + Unpin + 'static,
        length: u64,
        query: &Query,
        sent: impl FnMut(u64) + Send + 'static,
    ) -> Result<InstalledPack, ClientError> {
        let body = Body::of(from, Some(length), sent);
        record(self.patient()?.send(Method::POST, &["packs"], query, body).await?.json()?)
    }

    /// Goes on with an upload that waits for consent, by the digest of its archive: allows some grant lines, or `all`.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when none waits with this digest, which it does for an hour.
    pub async fn pack_allow<'a>(
        &self,
        digest: &str,
        grants: impl IntoIterator<Item = &'a str>,
    ) -> Result<InstalledPack, ClientError> {
        let mut query = Query::new().with("digest", digest);
        for line in grants {
            query.push("grant", line);
        }
        record(self.ask(Method::POST, &["packs"], &query).await?.json()?)
    }

    /// Brings the version of a pack before the one in use back. The two change places.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such pack, 409 when there is no version before.
    pub async fn pack_roll_back(&self, name: &str) -> Result<InstalledPack, ClientError> {
        record(self.ask(Method::POST, &["packs", name, "rollback"], &Query::new()).await?.json()?)
    }

    /// Returns what the components of a pack may do, and whether they ever did.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such pack.
    pub async fn pack_grants(&self, name: &str) -> Result<Vec<GrantUse>, ClientError> {
        self.ask(Method::GET, &["packs", name, "grants"], &Query::new()).await?.decode()
    }
}

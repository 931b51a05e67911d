//! The typed client of the API: objects over HTTP, events over a websocket.
//!
//! [`Client`] is cheap to clone and keeps its connections. Certificates are not checked, as with all clients of this
//! ecosystem: an endpoint makes its own at its first start (drp-api.md 1.1). Nothing here tries again by itself unless
//! [`Client::with_retries`] says so; [`ClientError::is_transient`] says when that makes sense.

mod blobs;
mod call;
mod client;
mod collection;
mod credentials;
mod crowd;
mod download;
mod error;
mod events;
mod jobs;
mod packs;
mod patch;
mod query;
mod request;
mod resume;
mod retry;
mod secure;
mod system;
mod wait;

pub use blobs::{BlobKind, BlobSent};
pub use call::{Call, Response};
pub use client::Client;
pub use collection::Collection;
pub use credentials::{Credentials, Endpoint};
pub use crowd::Meter;
pub use download::{Download, download, download_from, download_into};
pub use error::ClientError;
pub use events::{EventStream, Transport};
pub use jobs::JobCreation;
pub use patch::{PatchOp, merged};
pub use query::Query;
pub use reqwest::Method;
pub use resume::download_resumed;
pub use secure::{BundleKey, is_sealed};

//! One name space of rendered files and the file root: a rendered file hides a real one (drp-api.md 15.1).

use std::{path::PathBuf, sync::Arc};

use crate::{
    endpoint::Endpoint,
    render::{self, BootFile},
};

/// Links that are followed from one rendered file to the next.
const MAX_LINKS: usize = 8;

/// What is at a path.
pub(super) enum Found {
    /// A rendered text.
    Text(String),
    /// A file of the file root.
    File(PathBuf),
    /// Another place, as a whole URL.
    Elsewhere(String),
    /// Nothing.
    Nothing,
    /// A file that should be there and cannot be rendered; the reason is in the log.
    Broken,
}

/// Looks a path up. Rendering takes the processor for a while, so it does not happen on the thread that asks.
pub(super) async fn find(endpoint: &Arc<Endpoint>, path: &str) -> Found {
    let (endpoint, path) = (Arc::clone(endpoint), path.to_owned());
    let found = tokio::task::spawn_blocking(move || find_now(&endpoint, path)).await;
    found.unwrap_or(Found::Broken)
}

/// Follows links from a path. The log names the path that was asked for: a link is rendered text, which may hold secrets.
fn find_now(endpoint: &Arc<Endpoint>, mut path: String) -> Found {
    let asked = path.clone();
    for _ in 0..MAX_LINKS {
        match render::boot_file(endpoint, &path) {
            None => return endpoint.files.find(&path).map_or(Found::Nothing, Found::File),
            Some(Ok(BootFile::Text(text))) => return Found::Text(text),
            Some(Ok(BootFile::Link(target))) if target.contains("://") => return Found::Elsewhere(target),
            // A link to its own path means the real file that it hides.
            Some(Ok(BootFile::Link(target))) if target.trim_matches('/') == path.trim_matches('/') => {
                return endpoint.files.find(&path).map_or(Found::Nothing, Found::File);
            }
            Some(Ok(BootFile::Link(target))) => path = target,
            Some(Err(error)) => {
                tracing::error!(path = asked, %error, "a boot file cannot be rendered");
                return Found::Broken;
            }
        }
    }
    tracing::error!(path = asked, limit = MAX_LINKS, "too many links from one file to the next");
    Found::Broken
}

//! Fetching boot files, which need no credentials, from the static file server.

use std::{error::Error, time::Duration};

use formwork_tls::Trust;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::{ClientError, client::CONNECT_TIMEOUT, request::root_cause};

/// How long a file server may stay silent.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The answer of a file server.
#[derive(Clone, Debug)]
pub struct Download {
    /// The status; only 200 has the file.
    pub status: u16,
    /// The body.
    pub bytes: Vec<u8>,
}

/// Fetches a file from anywhere, by HTTP or by HTTPS with a certificate that the system trusts; through a proxy if one is
/// named. Redirections are followed.
///
/// # Errors
///
/// A URL that is neither, a connection that fails or breaks, a status that is not 200, a file of more than `max_bytes`.
pub async fn download_from(url: &str, proxy: Option<&str>, max_bytes: usize) -> Result<Vec<u8>, ClientError> {
    let response = open(url, proxy).await?;
    body(response, max_bytes, &|source| broken(url, source)).await
}

/// The same, for what is too long for the memory: it is written as it comes. `received` is called with the number of bytes
/// that have come so far, and with that of all if it is known.
///
/// # Errors
///
/// As [`download_from`], and what cannot be written.
pub async fn download_into(
    url: &str,
    proxy: Option<&str>,
    max_bytes: u64,
    to: &mut (impl AsyncWrite + Unpin),
    mut received: impl FnMut(u64, Option<u64>),
) -> Result<u64, ClientError> {
    let mut response = open(url, proxy).await?;
    let length = response.content_length();
    let local = |source| ClientError::Local { path: url.to_owned(), source };
    let mut count = 0;
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(url, root_cause(&error)))? {
        count += chunk.len() as u64;
        if count > max_bytes {
            return Err(broken(url, too_long(max_bytes)));
        }
        to.write_all(&chunk).await.map_err(local)?;
        received(count, length);
    }
    to.flush().await.map_err(local)?;
    Ok(count)
}

/// Makes what asks for a file.
pub(crate) fn client(url: &str, proxy: Option<&str>) -> Result<reqwest::Client, ClientError> {
    let unusable =
        |text: &str, reason: &str| ClientError::Url { text: text.to_owned(), reason: reason.to_owned() };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(unusable(url, "it must begin with `http://` or `https://`"));
    }
    let tls = formwork_tls::client_config(Trust::System).map_err(|error| broken(url, Box::new(error)))?;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT);
    builder = match proxy {
        Some(proxy) => {
            builder.proxy(reqwest::Proxy::all(proxy).map_err(|error| unusable(proxy, &error.to_string()))?)
        }
        None => builder.no_proxy(),
    };
    builder.build().map_err(|error| broken(url, root_cause(&error)))
}

/// Asks for a file.
async fn open(url: &str, proxy: Option<&str>) -> Result<reqwest::Response, ClientError> {
    let client = client(url, proxy)?;
    let response = client.get(url).send().await.map_err(|error| broken(url, root_cause(&error)))?;
    match response.status().as_u16() {
        200 => Ok(response),
        status => Err(broken(url, format!("status {status}").into())),
    }
}

fn too_long(max_bytes: u64) -> Box<dyn Error + Send + Sync> {
    format!("the file is longer than {max_bytes} bytes").into()
}

pub(crate) fn broken(url: &str, source: Box<dyn Error + Send + Sync>) -> ClientError {
    ClientError::Transport { method: String::from("GET"), path: url.to_owned(), source }
}

/// Fetches a file by plain HTTP, as a boot loader does.
///
/// # Errors
///
/// A URL that is not plain HTTP, a connection that fails or breaks, a file of more than `max_bytes`.
pub async fn download(url: &str, max_bytes: usize) -> Result<Download, ClientError> {
    let failed = |source: Box<dyn Error + Send + Sync>| ClientError::Transport {
        method: String::from("GET"),
        path: url.to_owned(),
        source,
    };
    if !url.starts_with("http://") {
        let reason = String::from("it must begin with `http://`");
        return Err(ClientError::Url { text: url.to_owned(), reason });
    }
    // Plain HTTP needs no TLS settings, but the library wants some.
    let tls = formwork_tls::client_config(Trust::Anybody).map_err(|error| failed(Box::new(error)))?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .no_proxy()
        .build()
        .map_err(|error| failed(Box::new(error)))?;
    let response = client.get(url).send().await.map_err(|error| failed(root_cause(&error)))?;
    let status = response.status().as_u16();
    Ok(Download { status, bytes: body(response, max_bytes, &failed).await? })
}

/// Reads a body up to a limit.
async fn body(
    mut response: reqwest::Response,
    max_bytes: usize,
    failed: &impl Fn(Box<dyn Error + Send + Sync>) -> ClientError,
) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(root_cause(&error)))? {
        if bytes.len() + chunk.len() > max_bytes {
            return Err(failed(too_long(max_bytes as u64)));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

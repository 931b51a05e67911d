//! Fetching boot files, which need no credentials, from the static file server.

use std::{error::Error, time::Duration};

use formwork_tls::Trust;

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
    let mut response = client.get(url).send().await.map_err(|error| failed(root_cause(&error)))?;
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(root_cause(&error)))? {
        if bytes.len() + chunk.len() > max_bytes {
            return Err(failed(format!("the file is longer than {max_bytes} bytes").into()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Download { status, bytes })
}

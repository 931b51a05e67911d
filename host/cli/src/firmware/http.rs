//! HTTP as iPXE reads scripts, kernels and initial RAM disks.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use reqwest::{StatusCode, Url, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// How long a server may stay silent.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many redirections are followed.
const MAX_REDIRECTIONS: usize = 5;

/// The longest script, in bytes.
const MAX_SCRIPT: u64 = 1 << 20;

/// The longest image, in bytes: a live system's RAM disk can have a gigabyte.
const MAX_IMAGE: u64 = 4 << 30;

/// A client that keeps its connections.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
}

impl Http {
    /// Prepares a client; nothing is sent yet.
    pub(crate) fn new() -> anyhow::Result<Self> {
        // Plain HTTP needs no TLS, but the library wants its settings: these trust nobody.
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(Policy::limited(MAX_REDIRECTIONS))
            .no_proxy()
            .user_agent(concat!("iPXE/1.0.0+formwork-", env!("CARGO_PKG_VERSION")))
            .build()
            .context("failed to prepare the HTTP client")?;
        Ok(Self { client })
    }

    /// Fetches a script.
    pub(crate) async fn script(&self, url: &Url) -> anyhow::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.read(url, MAX_SCRIPT, |chunk| text.extend_from_slice(chunk)).await?;
        Ok(text)
    }

    /// Fetches an image and returns how many bytes it has.
    pub(crate) async fn image(&self, url: &Url) -> anyhow::Result<u64> {
        self.read(url, MAX_IMAGE, |_| {}).await
    }

    async fn read(&self, url: &Url, max: u64, mut take: impl FnMut(&[u8])) -> anyhow::Result<u64> {
        let told = || format!("failed to load `{url}`");
        if url.scheme() != "http" {
            bail!("failed to load `{url}`: only plain HTTP is simulated");
        }
        let sent = self.client.get(url.clone()).send().await;
        let mut response = sent.map_err(reqwest::Error::without_url).with_context(told)?;
        let status = response.status();
        ensure!(status == StatusCode::OK, "failed to load `{url}`: the server answered {status}");
        let mut bytes = 0_u64;
        while let Some(chunk) =
            response.chunk().await.map_err(reqwest::Error::without_url).with_context(told)?
        {
            bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            ensure!(bytes <= max, "failed to load `{url}`: it is longer than {max} bytes");
            take(&chunk);
        }
        Ok(bytes)
    }
}

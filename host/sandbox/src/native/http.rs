//! Sends requests to web services: within a time, with bounded answers, and never to an address that was not meant.
//!
//! Which names may be asked is the grant's to say. Where a name leads is up to name servers, so each address is looked at
//! here before it is connected to.

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use formwork_tls::Trust;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Method, Response, Url, redirect};
use rustls::CertificateError;
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::capabilities::http::{MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS};
use crate::{Blob, HostError, HttpMethod, HttpRequest, HttpResponse};

/// Time to reach somebody who does not answer at all.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Idle connections that are kept for each host, so that a series of requests need not greet each time.
const IDLE: usize = 2;

/// Where clouds tell machines their secrets, besides the link-local address that most of them use.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

/// Sends requests. Clones share their connections.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// One client for each pair: whether addresses of the machine itself may be asked, and whether any certificate will do.
    clients: Arc<[[Made; 2]; 2]>,
}

/// A client that is made when it is first needed, or why it cannot be.
type Made = OnceLock<Result<Client, String>>;

impl Http {
    /// Makes no connection yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends a request, at most once, and returns the answer whatever its status says; a redirect is one.
    ///
    /// # Errors
    ///
    /// [`HostError::NotGranted`] for an address of the machine itself, its link or a cloud's metadata that the grant does
    /// not name. [`HostError::Unavailable`] when nobody answers in time. [`HostError::Other`] for a certificate that is
    /// not trusted, or an answer that is too large.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HostError> {
        let time = Duration::from_millis(u64::from(request.timeout_ms));
        let late = || HostError::Unavailable(format!("`{}` did not answer in {time:?}", request.url));
        timeout(time, self.exchange(&request)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn exchange(&self, request: &HttpRequest) -> Result<HttpResponse, HostError> {
        let invalid = |error: &dyn Error| HostError::Invalid(format!("`{}`: {error}", request.url));
        let url = Url::parse(&request.url).map_err(|error| invalid(&error))?;
        let names_address = names_address(&url);
        let is_exact = request.exact_host && names_address;
        // The resolver is not asked about an address.
        if let Some(address) = address(&url)
            && !is_exact
            && is_special(address)
        {
            return Err(HostError::NotGranted(request.url.clone()));
        }
        let any_certificate = request.any_certificate || url.scheme() == "http";
        let client = self.client(is_exact, any_certificate)?;
        let mut builder = client.request(method(request.method), url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if !request.body.0.is_empty() {
            builder = builder.body(request.body.0.clone());
        }
        let response = builder.send().await.map_err(|error| explain(request, &error))?;
        take(request, response).await
    }

    fn client(&self, is_exact: bool, any_certificate: bool) -> Result<&Client, HostError> {
        let [checked, unchecked] = &*self.clients;
        let [trusting, any] = if is_exact { unchecked } else { checked };
        let place = if any_certificate { any } else { trusting };
        let made = place.get_or_init(|| client(is_exact, any_certificate).map_err(|error| error.to_string()));
        made.as_ref().map_err(|words| HostError::Other(format!("requests cannot be sent here: {words}")))
    }
}

/// Makes a client. It follows no redirect, asks no proxy, and keeps no cookie.
fn client(is_exact: bool, any_certificate: bool) -> Result<Client, Box<dyn Error>> {
    let trust = if any_certificate { Trust::Anybody } else { Trust::System };
    let mut builder = Client::builder()
        .tls_backend_preconfigured(formwork_tls::client_config(trust)?)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIME)
        .pool_max_idle_per_host(IDLE)
        .user_agent(concat!("formwork/", env!("CARGO_PKG_VERSION")));
    if !is_exact {
        builder = builder.dns_resolver(Arc::new(Elsewhere));
    }
    Ok(builder.build()?)
}

/// Resolves names to addresses that are neither this machine nor its link nor a cloud's metadata.
struct Elsewhere;

/// A name leads to an address that must not be asked.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` leads to this machine, to its link or to a cloud's metadata")]
struct Special(String);

impl Resolve for Elsewhere {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().any(|address| is_special(address.ip())) {
                return Err(Special(name.as_str().to_owned()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The address in a URL; none when it has a name.
fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Whether a URL names an address itself, so that no name server has a say in it.
fn names_address(url: &Url) -> bool {
    address(url).is_some() || url.host_str() == Some("localhost")
}

/// Whether an address is of this machine, of its link, of many at once, or where clouds tell their secrets.
fn is_special(address: IpAddr) -> bool {
    let address = address.to_canonical();
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                // All of "this network", RFC 1122, 3.2.1.3.
                || v4.octets().first() == Some(&0)
                || METADATA.contains(&address)
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || METADATA.contains(&address)
                || translated(v6).is_some_and(|v4| is_special(IpAddr::V4(v4)))
        }
    }
}

/// The address that a translator on the way makes of one, RFC 6052, 2.1.
fn translated(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    match v6.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

fn method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
    }
}

/// Takes an answer, as much of it as may come.
async fn take(request: &HttpRequest, mut response: Response) -> Result<HttpResponse, HostError> {
    let large = |what: &str| HostError::Other(format!("`{}` answered with more than {what}", request.url));
    let status = response.status().as_u16();
    let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers: Vec<_> = response.headers().iter().map(header).collect();
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(large(&format!("{MAX_HEADERS} header lines or {MAX_HEADER_BYTES} bytes of them")));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| explain(request, &error))? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(large(&format!("{MAX_BODY_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status, headers, body: Blob(body) })
}

/// Reads out of the client's error what happened.
fn explain(request: &HttpRequest, error: &reqwest::Error) -> HostError {
    let mut cause: &(dyn Error + 'static) = error;
    loop {
        if cause.is::<Special>() {
            return HostError::NotGranted(request.url.clone());
        }
        if let Some(tls) = certificate_error(cause) {
            let words = format!("`{}`: its certificate is not trusted: {tls:?}", request.url);
            return HostError::Other(words);
        }
        match cause.source() {
            Some(next) => cause = next,
            None => return HostError::Unavailable(format!("`{}` did not answer: {cause}", request.url)),
        }
    }
}

/// The fault of a certificate, also where errors of the connection wrap it.
fn certificate_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a CertificateError> {
    if let Some(wrapped) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return certificate_error(wrapped);
    }
    match cause.downcast_ref()? {
        rustls::Error::InvalidCertificate(error) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

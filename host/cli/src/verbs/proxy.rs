//! `formwork proxy`: programs on this computer call the endpoint through it, as the user of this program, and need neither
//! its password nor TLS. `RS_LOCAL_PROXY` names it to them (drp-api.md 16.2).
//!
//! It listens on a UNIX socket that only its user can open, or on a loopback address. One connection is one request, or
//! one event stream; bodies pass as they come. A browser sends such requests for any page that asks it to, so what a
//! browser sent is refused.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use formwork_api::ApiError;
use formwork_client::{Client, ClientError};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, UnixListener, UnixStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::Given;
use crate::{commands::Context, failure::UsageError, shutdown};

/// Most connections at once; others wait.
const MAX_CONNECTIONS: usize = 64;

/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The life of the token that is shown to the endpoint, and how often a new one is asked for.
const LIFE: &str = "2h";
const RENEWAL: Duration = Duration::from_secs(30 * 60);

/// After a failed renewal the next follows so soon: the old token is still good for more than an hour.
const RENEWAL_AGAIN: Duration = Duration::from_secs(60);

/// How long accepting rests after it failed: without files to open it would fail again at once.
const REST: Duration = Duration::from_millis(50);

/// Headers that end here: who calls and how the connection goes on is said anew.
const DROPPED: [&str; 6] =
    ["authorization", "connection", "host", "keep-alive", "proxy-authorization", "proxy-connection"];

/// Who listens.
enum Listener {
    Socket(UnixListener, PathBuf),
    Loopback(TcpListener),
}

/// Removes the socket when the proxy ends.
impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Socket(_, path) = self {
            // A socket that stays is taken over by the next proxy.
            std::fs::remove_file(path).ok();
        }
    }
}

/// Passes requests on until the program is told to end.
pub(super) async fn run(given: Given<'_>, context: &mut Context) -> Result<()> {
    let place = given.text("SOCKET");
    let listener = listen(place).await?;
    let credentials = context.settings.endpoint.credentials.clone();
    context.settings.settle().await?;
    let shown = context.client()?.logged_in(LIFE).await?;
    let asking = shown.with_credentials(credentials);
    let shown = Arc::new(RwLock::new(shown));
    let end = shutdown::on_signal()?;
    context.out.line(&format!("proxy     {place}"))?;
    context.out.raw(b"")?;
    tokio::select! {
        () = end.cancelled() => Ok(()),
        () = renew(&asking, &shown) => Ok(()),
        () = serve(&listener, &shown) => Ok(()),
    }
}

/// Asks for a new token again and again. A token that was given cannot be renewed and stays.
async fn renew(asking: &Client, shown: &RwLock<Client>) {
    let mut pause = RENEWAL;
    loop {
        sleep(pause).await;
        pause = match asking.logged_in(LIFE).await {
            Ok(client) => {
                *shown.write().unwrap_or_else(std::sync::PoisonError::into_inner) = client;
                RENEWAL
            }
            Err(error) => {
                tracing::warn!("failed to renew the token: {}", error.chain());
                RENEWAL_AGAIN
            }
        };
    }
}

async fn listen(place: &str) -> Result<Listener> {
    if let Ok(address) = place.parse::<SocketAddr>() {
        if !address.ip().is_loopback() {
            bail!(UsageError(format!(
                "`{place}` can be reached from other computers\nhint: name a path, or a loopback address"
            )));
        }
        let listener = TcpListener::bind(address).await;
        return Ok(Listener::Loopback(listener.with_context(|| format!("failed to listen at `{place}`"))?));
    }
    let path = Path::new(place);
    let socket = bind(path).await.with_context(|| format!("failed to listen at `{place}`"))?;
    Ok(Listener::Socket(socket, path.to_owned()))
}

/// Makes the socket in a folder of its own that nobody else can enter, and moves it into its place when it is as it is to be.
async fn bind(path: &Path) -> io::Result<UnixListener> {
    let is_socket = std::fs::symlink_metadata(path).map(|found| found.file_type().is_socket());
    match is_socket {
        Ok(true) if UnixStream::connect(path).await.is_ok() => return Err(io::ErrorKind::AddrInUse.into()),
        Ok(false) => return Err(io::ErrorKind::AlreadyExists.into()),
        _ => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let private = tempfile::Builder::new().prefix(".fw").tempdir_in(folder)?;
    let made = private.path().join("s");
    let listener = UnixListener::bind(&made)?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&made, path)?;
    Ok(listener)
}

async fn serve(listener: &Listener, shown: &RwLock<Client>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted: io::Result<Box<dyn formwork_client::Transport>> = match listener {
            Listener::Socket(listener, _) => listener.accept().await.map(|(stream, _)| Box::new(stream) as _),
            Listener::Loopback(listener) => listener.accept().await.map(|(stream, _)| Box::new(stream) as _),
        };
        let connection = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!("failed to accept a connection: {error}");
                sleep(REST).await;
                continue;
            }
        };
        let is_local = matches!(listener, Listener::Loopback(_));
        let client = shown.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        tokio::spawn(async move {
            if let Err(error) = pass(connection, &client, is_local).await {
                tracing::debug!("a connection ended: {error}");
            }
            drop(place);
        });
    }
}

/// Passes one request on; one that came over a loopback address must be for such a one.
async fn pass(
    mut near: impl AsyncRead + AsyncWrite + Unpin,
    client: &Client,
    is_local: bool,
) -> io::Result<()> {
    let read = timeout(HEAD_TIMEOUT, head(&mut near)).await;
    let (head, rest) = match read {
        Ok(read) => match read? {
            Some(read) => read,
            None => return Ok(()),
        },
        Err(_) => return refuse(&mut near, ApiError::new(408, "PROXY", "the request took too long")).await,
    };
    let rewritten = match rewritten(&head, client, is_local) {
        Ok(rewritten) => rewritten,
        Err(error) => return refuse(&mut near, error).await,
    };
    let mut far = match client.transport().await {
        Ok(far) => far,
        Err(error) => return refuse(&mut near, unreachable(&error)).await,
    };
    far.write_all(rewritten.as_bytes()).await?;
    far.write_all(&rest).await?;
    far.flush().await?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}

fn unreachable(error: &ClientError) -> ApiError {
    ApiError::new(502, "PROXY", error.chain())
}

/// Reads the head of a request, and what came behind it; nothing from a connection that was closed.
async fn head(near: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let mut looked = 0;
    loop {
        if near.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        let new = bytes.get(looked..).unwrap_or_default();
        if let Some(end) = new.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(looked + end + 4);
            let head = String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
            return Ok(Some((head, rest)));
        }
        if bytes.len() > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        looked = bytes.len().saturating_sub(3);
    }
}

/// Returns the head of a request as the endpoint is to see it.
fn rewritten(head: &str, client: &Client, is_local: bool) -> Result<String, ApiError> {
    let wrong = |words: &str| ApiError::new(400, "PROXY", words);
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = first.as_slice() else {
        return Err(wrong("this is no request of HTTP/1.1"));
    };
    if !target.starts_with('/') || head.replace("\r\n", "").contains(char::is_control) {
        return Err(wrong("this is no request of the API"));
    }
    let mut text = format!("{method} {}{target} HTTP/1.1\r\n", client.path_before());
    let (mut upgrade, mut hosts) = (false, 0);
    for line in lines {
        let Some((name, value)) = line.split_once(':').filter(|(name, _)| !name.contains([' ', '\t'])) else {
            return Err(wrong("a header is broken"));
        };
        let name = name.to_ascii_lowercase();
        if name == "origin" || name.starts_with("sec-fetch-") {
            return Err(ApiError::new(
                403,
                "PROXY",
                "a browser may not call the endpoint through this proxy",
            ));
        }
        // A page whose name leads here all of a sudden sends no word of its origin, but its name.
        if is_local && name == "host" && !is_loopback(value.trim()) {
            return Err(ApiError::new(421, "PROXY", "this proxy is reached by a loopback address alone"));
        }
        hosts += usize::from(name == "host");
        upgrade |= name == "upgrade";
        if !DROPPED.contains(&name.as_str()) {
            text.push_str(line);
            text.push_str("\r\n");
        }
    }
    if is_local && hosts != 1 {
        return Err(wrong("a request names its host once"));
    }
    let authority = client.endpoint().split("://").nth(1).unwrap_or_default();
    let host = authority.split('/').next().unwrap_or_default();
    let connection = if upgrade { "Upgrade" } else { "close" };
    let authorization = client.authorization();
    text.push_str(&format!(
        "Host: {host}\r\nConnection: {connection}\r\nAuthorization: {authorization}\r\n\r\n"
    ));
    Ok(text)
}

/// Tells whether a host with its port is this computer, by a name that nobody else can lead elsewhere.
fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default();
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Answers a request that is not passed on.
async fn refuse(near: &mut (impl AsyncWrite + Unpin), error: ApiError) -> io::Result<()> {
    let body = serde_json::to_vec(&error)?;
    let head = format!(
        "HTTP/1.1 {} Refused\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        error.code,
        body.len()
    );
    near.write_all(head.as_bytes()).await?;
    near.write_all(&body).await?;
    near.shutdown().await
}

#[cfg(test)]
mod tests {
    use formwork_client::{Credentials, Endpoint};

    use super::*;

    fn client(url: &str) -> Client {
        Client::connect(Endpoint { url: url.into(), credentials: Credentials::Token("secret".into()) })
            .unwrap()
    }

    #[test]
    fn caller_and_host_are_those_of_the_proxy() {
        let head = "GET /api/v3/info?x=1 HTTP/1.1\r\nHost: localhost\r\nAUTHORIZATION: Bearer other\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n";
        let expected = "GET /fred/api/v3/info?x=1 HTTP/1.1\r\nAccept: */*\r\nHost: h:1\r\nConnection: close\r\nAuthorization: Bearer secret\r\n\r\n";
        assert_eq!(rewritten(head, &client("https://h:1/fred"), true).unwrap(), expected);
        let head = "GET /api/v3/ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        let expected = "GET /api/v3/ws HTTP/1.1\r\nUpgrade: websocket\r\nHost: h\r\nConnection: Upgrade\r\nAuthorization: Bearer secret\r\n\r\n";
        assert_eq!(rewritten(head, &client("http://h"), false).unwrap(), expected);
    }

    #[test]
    fn what_is_no_request_or_comes_from_a_browser_is_refused() {
        let code = |head: &str| rewritten(head, &client("http://h"), false).unwrap_err().code;
        for head in [
            "",
            "GET\r\n\r\n",
            "GET http://other/ HTTP/1.1\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "GET /x HTTP/1.1\r\nno colon\r\n\r\n",
            "GET /x HTTP/1.1\r\n folded: x\r\n\r\n",
            "GET /x HTTP/1.1\r\na: b\nAuthorization: c\r\n\r\n",
        ] {
            assert_eq!(code(head), 400, "{head:?}");
        }
        for header in ["Origin: https://page", "Sec-Fetch-Site: cross-site"] {
            assert_eq!(code(&format!("POST /api/v3/users HTTP/1.1\r\n{header}\r\n\r\n")), 403);
        }
        let local = |headers: &str| {
            let head = format!("GET /api/v3/info HTTP/1.1\r\n{headers}\r\n");
            rewritten(&head, &client("http://h"), true).map_err(|error| error.code)
        };
        for host in ["localhost", "localhost:9", "127.0.0.1", "127.0.0.1:9", "[::1]:9", "[::1]"] {
            assert!(local(&format!("Host: {host}\r\n")).is_ok(), "{host}");
        }
        for host in ["page.example", "page.example:9", "10.0.0.1:9", "localhost.page.example", ""] {
            assert_eq!(local(&format!("Host: {host}\r\n")), Err(421), "{host}");
        }
        assert_eq!(local(""), Err(400));
        assert_eq!(local("Host: localhost\r\nHost: localhost\r\n"), Err(400));
    }

    #[tokio::test]
    async fn socket_is_private_and_not_taken_from_a_living_proxy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let place = path.to_str().unwrap();
        let first = listen(place).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(listen(place).await.is_err());
        drop(first);
        assert!(!path.exists());
        std::fs::write(&path, "a file").unwrap();
        assert!(listen(place).await.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
        assert!(listen("10.0.0.1:0").await.is_err() && listen("[::]:0").await.is_err());
    }

    #[tokio::test]
    async fn head_is_bounded_and_an_endpoint_that_is_gone_is_told() {
        let long = vec![b'x'; MAX_HEAD + 1];
        assert!(head(&mut long.as_slice()).await.is_err());
        let (mut near, far) = tokio::io::duplex(4096);
        near.write_all(b"GET /api/v3/info HTTP/1.1\r\n\r\n").await.unwrap();
        pass(far, &client("http://127.0.0.1:1"), false).await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("failed to reach"), "{answer}");
    }
}

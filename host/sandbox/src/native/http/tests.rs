//! Requests to a server on loopback that says what each test needs.

use std::net::SocketAddr;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Answers each request with the same bytes, and tells what it was asked.
async fn serve(answer: Vec<u8>, tls: Option<TlsAcceptor>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match &tls {
                // A client that refuses the certificate ends the greeting.
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => talk(stream, &answer, &told).await,
                    Err(_) => continue,
                },
                None => talk::<TcpStream>(stream, &answer, &told).await,
            }
        }
    });
    (address, asked)
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: &[u8],
    told: &mpsc::UnboundedSender<String>,
) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    told.send(String::from_utf8(request).unwrap()).unwrap();
    // The client goes away early from an answer that is too large.
    stream.write_all(answer).await.ok();
    stream.shutdown().await.ok();
}

fn get(url: String) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Get,
        url,
        headers: vec![("x-mine".to_owned(), "1".to_owned())],
        body: Blob::default(),
        timeout_ms: 20_000,
        any_certificate: false,
        exact_host: true,
    }
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn an_answer_is_returned_whatever_its_status_and_a_redirect_is_not_followed() {
    let answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/evil\r\nX-A: \xff\r\nContent-Length: 2\r\n\r\nhi";
    let (address, mut asked) = serve(answer.to_vec(), None).await;
    let response = Http::new().send(get(format!("http://{address}/x?y=1"))).await.unwrap();
    assert_eq!((response.status, response.body), (302, Blob(b"hi".to_vec())));
    assert!(response.headers.contains(&("location".to_owned(), "http://127.0.0.1:1/evil".to_owned())));
    assert!(response.headers.contains(&("x-a".to_owned(), "\u{fffd}".to_owned())));
    let request = asked.recv().await.unwrap();
    assert!(request.starts_with("GET /x?y=1 HTTP/1.1\r\n") && request.contains("x-mine: 1\r\n"), "{request}");
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_taken() {
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.resize(answer.len() + MAX_BODY_BYTES + 1, b'x');
    let (address, _asked) = serve(answer, None).await;
    let error = Http::new().send(get(format!("http://{address}/"))).await.unwrap_err();
    assert!(
        matches!(&error, HostError::Other(words) if words.contains("more than 1048576 bytes")),
        "{error}"
    );
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let request = HttpRequest { timeout_ms: 100, ..get(url.clone()) };
    assert!(matches!(Http::new().send(request).await, Err(HostError::Unavailable(_))));
    drop(listener);
    assert!(matches!(Http::new().send(get(url)).await, Err(HostError::Unavailable(_))));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_needs_the_grants_word() {
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
    let (address, _asked) = serve(answer, Some(acceptor())).await;
    let url = format!("https://localhost:{}/", address.port());
    let http = Http::new();
    let error = http.send(get(url.clone())).await.unwrap_err();
    assert!(matches!(error, HostError::Other(_)), "{error:?}");
    let request = HttpRequest { any_certificate: true, ..get(url) };
    assert_eq!(http.send(request).await.unwrap().status, 204);
}

#[tokio::test]
async fn an_address_of_this_machine_is_asked_only_when_the_grant_names_it() {
    let (address, mut asked) = serve(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), None).await;
    let http = Http::new();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/", address.port());
        let request = HttpRequest { exact_host: false, ..get(url.clone()) };
        assert_eq!(http.send(request).await, Err(HostError::NotGranted(url)));
    }
    assert!(asked.try_recv().is_err());
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/", address.port());
        assert_eq!(http.send(get(url)).await.unwrap().status, 204);
    }
}

#[test]
fn addresses_that_nobody_means_are_known() {
    for address in [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "169.254.169.254",
        "100.100.100.200",
        "255.255.255.255",
        "224.0.0.1",
        "::",
        "::1",
        "fe80::1",
        "ff02::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
    ] {
        assert!(is_special(address.parse().unwrap()), "{address}");
    }
    for address in ["10.0.0.1", "192.168.1.1", "1.2.3.4", "2001:db8::1", "fd00::1", "64:ff9b::1.2.3.4"] {
        assert!(!is_special(address.parse().unwrap()), "{address}");
    }
}

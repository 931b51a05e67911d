mod files;

use axum::{
    body::{Body, Bytes},
    routing::get,
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// More bytes than the system keeps for a client.
const LARGE: usize = 64 << 20;

fn begins_and_waits() -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::once(async { Ok(Bytes::from_static(b"begin")) }).chain(stream::pending())
}

/// Serves to as many at once, and returns where, and what ends it.
async fn served(most: usize) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let streamed = || std::iter::repeat_n(Ok::<_, Infallible>(vec![0_u8; 1 << 10]), LARGE >> 10);
    let routes = Router::new()
        .route("/", get(async || "here"))
        .route("/large", get(async || vec![0_u8; LARGE]))
        .route("/streamed", get(async move || Body::from_stream(stream::iter(streamed()))))
        .route("/held", get(async || Body::from_stream(begins_and_waits())));
    let places = Places::new(most);
    let service = Service {
        routes,
        files: None,
        tls: None,
        door: Door::Api,
        places,
        listed: None,
        farewell: Duration::ZERO,
    };
    tokio::spawn(serve(listener, service, stopped));
    (address, stop)
}

async fn asked(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn silent_connection_gives_way_and_one_that_is_answered_does_not() {
    let (address, stop) = served(1).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut held = TcpStream::connect(address).await.unwrap();
    held.write_all(b"GET /held HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "it was ended");
    let mut begin = [0; 12];
    held.read_exact(&mut begin).await.unwrap();
    let mut late = TcpStream::connect(address).await.unwrap();
    let answer = asked(&mut late).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("as many connections as one may have"), "{answer}");
    drop(held);
    while !asked(&mut TcpStream::connect(address).await.unwrap()).await.ends_with("here") {}
    stop.send(true).unwrap();
}

#[tokio::test]
async fn turned_away_are_closed_without_a_word_when_they_are_many() {
    let (address, _stop) = served(1).await;
    let mut held = TcpStream::connect(address).await.unwrap();
    held.write_all(b"GET /held HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    held.read_exact(&mut [0; 12]).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..TURNED_AWAY {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut late = TcpStream::connect(address).await.unwrap();
    assert_eq!(late.read(&mut [0]).await.unwrap(), 0);
    drop(silent);
}

/// Connects with a small buffer, so that what is not read waits at the other end.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn client_that_does_not_read_its_answer_is_let_go() {
    let (address, _stop) = served(8).await;
    for path in ["large", "streamed"] {
        let mut deaf = narrow(address).await;
        let request = format!("GET /{path} HTTP/1.1\r\nHost: h\r\n\r\n");
        deaf.write_all(request.as_bytes()).await.unwrap();
        let began = tokio::time::Instant::now();
        // What ends the connection ends this too: the clock goes on by itself while all wait.
        let mut rest = Vec::new();
        deaf.readable().await.unwrap();
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert!(deaf.read_to_end(&mut rest).await.is_err() || rest.len() < LARGE, "{path}");
        assert!(began.elapsed() < Duration::from_secs(120), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn client_of_http2_without_a_stream_is_let_go() {
    let (address, _stop) = served(8).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    // The preface, and empty settings (RFC 9113, section 3.4).
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let began = tokio::time::Instant::now();
    let _ = silent.read_to_end(&mut Vec::new()).await;
    assert!(began.elapsed() < PATIENCE * 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn head_of_http2_that_is_too_long_is_refused_with_the_error_object() {
    let (address, _stop) = served(8).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    // By RFC 9113 the others of this request count 4 * 32 bytes, `:method` to `:path` with `GET`, `http`, `h` and `/`, and the field 33.
    let room = (16 << 10) - (4 * 32 + 29 + 3 + 4 + 1 + 1) - 33;
    for (bytes, code) in [(room, 200), (room + 1, 431), (30 << 10, 431)] {
        let request = Request::builder().uri("http://h/").header("x", "y".repeat(bytes)).body(()).unwrap();
        client = client.ready().await.unwrap();
        let answer = client.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(answer.status(), code, "{bytes}");
        if code == 431 {
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json; charset=utf-8");
            let body = answer.into_body().data().await.unwrap().unwrap();
            let error: ApiError = serde_json::from_slice(&body).unwrap();
            assert!(error.code == 431 && error.messages[0].contains("longer than 16384 bytes"), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_sends_no_head_is_let_go() {
    let (address, _stop) = served(8).await;
    for start in ["", "G", "GET / HT", "PRI * HT"] {
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // The invented clock goes on by itself while all wait.
        let _ = slow.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{start}");
    }
}

/// Connects from another address of this host.
async fn from(address: SocketAddr, last: u8) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// Takes a place from an address that nobody else can have meanwhile.
async fn held(address: SocketAddr, last: u8) -> TcpStream {
    let mut stream = from(address, last).await;
    stream.write_all(b"GET /held HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    stream
}

#[tokio::test]
async fn honest_client_is_answered_while_others_hold_all_that_they_can_and_as_before_when_they_have_gone() {
    // Of 16 places a door may have 14, and one address 11 of these.
    let (address, _stop) = served(16).await;
    let mut crowd = Vec::new();
    for _ in 0..11 {
        crowd.push(held(address, 2).await);
    }
    let mut more = from(address, 2).await;
    assert!(asked(&mut more).await.starts_with("HTTP/1.1 429 "));
    for _ in 0..100 {
        crowd.push(from(address, 3).await);
    }
    for _ in 0..20 {
        assert!(asked(&mut from(address, 1).await).await.ends_with("here"));
    }
    for last in [1, 1, 4] {
        crowd.push(held(address, last).await);
    }
    let answer = asked(&mut from(address, 5).await).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("as many connections as there may be"),
        "{answer}"
    );
    drop(crowd);
    while !asked(&mut from(address, 5).await).await.ends_with("here") {}
    held(address, 2).await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_the_error_object() {
    let (address, stop) = served(8).await;
    let (long, fields) = ("a".repeat(70 << 10), "x: y\r\n".repeat(300));
    for (request, code) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"), 431),
        (String::from("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: many\r\n\r\n"), 400),
        (String::from("GET / HTTP/1.1\r\nHost: \0\r\n\r\n"), 400),
        // Behind one that was answered.
        (String::from("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 200),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        if code == 200 {
            let mut first = [0; 4096];
            let read = stream.read(&mut first).await.unwrap();
            assert!(first[..read].ends_with(b"here"));
            stream.write_all(b"what is this\r\n\r\n").await.unwrap();
        }
        // A client that sent more than was read may be cut off behind the answer.
        let _ = stream.read_to_string(&mut answer).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{code}: {answer}"));
        let code = if code == 200 { 400 } else { code };
        let error: ApiError =
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{code} {error}: {answer}"));
        assert_eq!(error.code, code, "{answer}");
        assert!(
            head.starts_with(&format!("HTTP/1.1 {code} ")) && head.contains("application/json"),
            "{answer}"
        );
    }
    stop.send(true).unwrap();
}

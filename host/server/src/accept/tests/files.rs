//! Files that are sent before the HTTP library sees a connection: the same limits hold, and it goes on with all else.

use std::{path::PathBuf, time::SystemTime};

use formwork_boot::StaticFiles;

use super::*;

/// A folder of real files.
struct Folder(tempfile::TempDir);

impl StaticFiles for Folder {
    fn find(&self, path: &str) -> Option<PathBuf> {
        Some(self.0.path().join(path)).filter(|file| file.is_file())
    }

    fn revision(&self) -> u64 {
        0
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

/// Serves files to as many at once, and returns where, and what ends it.
async fn served_files(most: usize) -> (SocketAddr, watch::Sender<bool>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small"), "0123456789").unwrap();
    std::fs::File::create(folder.path().join("large")).unwrap().set_len(LARGE as u64).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let service = Service {
        routes: Router::new().route("/{*path}", get(async || "rendered")),
        files: Some(Arc::new(HttpFiles::new(Arc::new(Folder(folder))))),
        tls: None,
        door: Door::Files,
        places: Places::new(most),
        listed: None,
        farewell: Duration::ZERO,
    };
    tokio::spawn(serve(listener, service, stopped));
    (address, stop)
}

/// Asks for a path on a connection that stays, and returns the body of the answer.
async fn body_of(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn connection_goes_on_with_what_is_no_file() {
    let (address, stop) = served_files(64).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for (path, body) in [("small", "0123456789"), ("other", "rendered"), ("small", "rendered")] {
        assert_eq!(body_of(&mut stream, path).await, body);
    }
    // One byte at a time: nobody but the HTTP library waits for the rest of a head.
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.set_nodelay(true).unwrap();
    for byte in b"GET /small HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" {
        slow.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().uri("http://h/small").body(()).unwrap();
    let (answer, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    stop.send(true).unwrap();
}

#[tokio::test]
async fn connection_that_a_file_is_sent_on_gives_way_to_nobody() {
    let (address, _stop) = served_files(2).await;
    let mut deaf = narrow(address).await;
    deaf.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    deaf.read_exact(&mut [0; 12]).await.unwrap();
    let mut late = TcpStream::connect(address).await.unwrap();
    let answer = asked(&mut late).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    drop(deaf);
    let mut next = TcpStream::connect(address).await.unwrap();
    while !asked(&mut next).await.starts_with("HTTP/1.1 404 ") {
        next = TcpStream::connect(address).await.unwrap();
    }
    // It waits for its next request, and goes for somebody who makes one.
    let mut idle = TcpStream::connect(address).await.unwrap();
    assert_eq!(body_of(&mut idle, "small").await, "0123456789");
    assert_eq!(body_of(&mut TcpStream::connect(address).await.unwrap(), "small").await, "0123456789");
    assert_eq!(idle.read(&mut [0]).await.unwrap_or_default(), 0, "it was ended");
}

#[tokio::test(start_paused = true)]
async fn client_that_does_not_take_a_file_is_let_go() {
    let (address, _stop) = served_files(64).await;
    let mut deaf = narrow(address).await;
    deaf.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    deaf.readable().await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    let mut rest = Vec::new();
    assert!(deaf.read_to_end(&mut rest).await.is_err() || rest.len() < LARGE, "{}", rest.len());
}

#[tokio::test(start_paused = true)]
async fn client_that_asks_nothing_more_is_let_go() {
    let (address, _stop) = served_files(64).await;
    for asks in [false, true] {
        let mut silent = TcpStream::connect(address).await.unwrap();
        if asks {
            assert_eq!(body_of(&mut silent, "small").await, "0123456789");
        }
        let began = tokio::time::Instant::now();
        assert_eq!(silent.read(&mut [0]).await.unwrap_or_default(), 0);
        assert!(began.elapsed() <= PATIENCE * 2, "{asks}: {:?}", began.elapsed());
    }
}

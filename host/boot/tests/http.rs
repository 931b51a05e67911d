//! Files over HTTP by bytes on the wire: what is answered, in which order, and what is left to others.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use formwork_boot::{HttpCounters, HttpFiles, Progress, Served, StaticFiles};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

use super::{soon, until};

/// More than the system keeps for a client, and no whole number of turns.
const LARGE: usize = (9 << 20) + 77;

/// A folder whose files below `rendered/` are somebody else's.
struct Folder {
    root: PathBuf,
    revision: AtomicU64,
}

impl StaticFiles for Folder {
    fn find(&self, path: &str) -> Option<PathBuf> {
        let found = self.root.join(path.trim_start_matches('/')).canonicalize().ok()?;
        let is_own = found.starts_with(&self.root) && !path.starts_with("rendered/");
        (is_own && found.is_file()).then_some(found)
    }

    fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

/// What a connection noted.
#[derive(Default)]
struct Noted {
    requests: AtomicUsize,
    taken: AtomicUsize,
    is_blocked: AtomicBool,
}

struct Watcher(Arc<Noted>);

impl Progress for Watcher {
    type Request = ();

    fn begin(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn took(&self, bytes: usize) {
        self.0.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    fn blocked(&self, is_blocked: bool) {
        self.0.is_blocked.store(is_blocked, Ordering::Relaxed);
    }
}

struct Site {
    folder: tempfile::TempDir,
    files: Arc<HttpFiles>,
    source: Arc<Folder>,
    counters: Arc<HttpCounters>,
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("small", b"0123456789");
        write("empty", b"");
        write("loader.efi", b"MZ");
        write("large", &content(LARGE));
        std::fs::create_dir(folder.path().join("rendered")).unwrap();
        write("rendered/one", b"hidden");
        let root = folder.path().canonicalize().unwrap();
        let source = Arc::new(Folder { root, revision: AtomicU64::new(0) });
        let files = Arc::new(HttpFiles::new(Arc::clone(&source) as _));
        Self { folder, counters: files.counters(), files, source }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Opens a connection that takes at most so many bytes ahead, where that matters.
    async fn connect(&self, receive: Option<u32>) -> (TcpStream, Arc<Noted>, JoinHandle<Served>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = receive {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let client = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (files, noted) = (Arc::clone(&self.files), Arc::new(Noted::default()));
        let watcher = Watcher(Arc::clone(&noted));
        let served = tokio::spawn(async move { files.serve(&stream, &watcher).await });
        (client, noted, served)
    }

    /// Sends bytes on a connection of their own, and returns all that is answered and how it ended.
    async fn said(&self, bytes: &str) -> (String, Served) {
        let (mut client, _, served) = self.connect(None).await;
        client.write_all(bytes.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let served = soon(served).await.unwrap();
        let mut answer = Vec::new();
        soon(client.read_to_end(&mut answer)).await.unwrap();
        (String::from_utf8_lossy(&answer).into_owned(), served)
    }

    async fn answer(&self, target: &str, fields: &str) -> String {
        let (answer, served) = self.said(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).await;
        assert!(matches!(served, Served::Ended), "{target}: {served:?}");
        answer
    }
}

/// Reads one answer with a body from a connection that stays.
async fn one(client: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(client.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    soon(client.read_exact(&mut body)).await.unwrap();
    (head, body)
}

#[tokio::test]
async fn file_is_given_whole_in_parts_and_by_its_head_alone() {
    let site = Site::new();
    let whole = site.answer("/small", "").await;
    assert!(whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n\r\n0123456789"), "{whole}");
    for (range, status, body) in [
        ("bytes=2-4", "206", "234"),
        ("bytes=-3", "206", "789"),
        ("bytes=7-", "206", "789"),
        ("bytes=0-0", "206", "0"),
        ("bytes=3-99", "206", "3456789"),
        ("bytes=10-", "416", ""),
        ("bytes=5-2", "200", "0123456789"),
        ("bytes=0-1,3-4", "200", "0123456789"),
        ("lines=1", "200", "0123456789"),
    ] {
        let answer = site.answer("/small", &format!("Range: {range}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{range}: {answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{range}: {answer}");
    }
    let tag = whole.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let known = site.answer("/small", &format!("If-None-Match: {tag}\r\n")).await;
    assert!(known.starts_with("HTTP/1.1 304 ") && known.ends_with("\r\n\r\n"), "{known}");
    let other = site.answer("/small", "Range: bytes=2-4\r\nIf-Range: \"other\"\r\n").await;
    assert!(other.ends_with("0123456789"), "another version is sent whole: {other}");
    let (head, _) = site.said("HEAD /large HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(head.contains(&format!("content-length: {LARGE}\r\n")) && head.ends_with("\r\n\r\n"), "{head}");
    assert!(site.answer("/empty", "").await.contains("content-length: 0\r\n"));
    assert!(site.answer("/loader.efi?x=y", "").await.contains("content-type: application/efi\r\n"));
}

#[tokio::test]
async fn large_file_comes_whole_and_in_parts_from_disk() {
    let site = Site::new();
    let bytes = content(LARGE);
    let path = site.path("large");
    // What is not in memory is read by another thread.
    let file = std::fs::File::open(&path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let (mut client, noted, served) = site.connect(None).await;
    client.write_all(b"GET /large HTTP/1.1\r\n\r\n").await.unwrap();
    let (_, body) = one(&mut client).await;
    assert!(body == bytes);
    client.write_all(b"GET /large HTTP/1.1\r\nRange: bytes=1048570-3145738\r\n\r\n").await.unwrap();
    let (head, body) = one(&mut client).await;
    assert!(head.contains(&format!("content-range: bytes 1048570-3145738/{LARGE}\r\n")), "{head}");
    assert!(body == bytes[1_048_570..=3_145_738]);
    drop(client);
    assert!(matches!(soon(served).await.unwrap(), Served::Ended));
    assert_eq!(noted.requests.load(Ordering::Relaxed), 2);
    let sent = noted.taken.load(Ordering::Relaxed);
    assert!(sent > LARGE + (2 << 20), "{sent}");
    assert_eq!(site.counters.snapshot().answered, 2);
}

#[tokio::test]
async fn one_connection_answers_many_requests_and_those_that_come_at_once_in_order() {
    let site = Site::new();
    let (mut client, noted, served) = site.connect(None).await;
    for _ in 0..300 {
        client.write_all(b"GET /small HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert_eq!(one(&mut client).await.1, b"0123456789");
    }
    let many: String = (0..300)
        .map(|number| format!("GET /small HTTP/1.1\r\nRange: bytes={0}-{0}\r\n\r\n", number % 10))
        .collect();
    // Both at once: who only sends and never reads is not served without end.
    let (mut reader, mut writer) = client.split();
    let sending = async {
        writer.write_all(many.as_bytes()).await.unwrap();
        writer.write_all(b"GET /large HTTP/1.1\r\nConnection: close\r\n\r\n").await.unwrap();
    };
    let mut answers = Vec::new();
    let reading = async { soon(reader.read_to_end(&mut answers)).await };
    let (_, read) = tokio::join!(sending, reading);
    read.unwrap();
    let text = String::from_utf8_lossy(&answers);
    let digits: Vec<&str> = text.split("\r\n\r\n").skip(1).take(300).map(|body| &body[..1]).collect();
    let wanted: Vec<String> = (0..300).map(|number| (number % 10).to_string()).collect();
    let is_in_order = digits.iter().zip(&wanted).all(|(digit, wanted)| digit == wanted);
    // A head that was cut where a read ended is for somebody else, which ends this here.
    match soon(served).await.unwrap() {
        Served::Ended => assert!(is_in_order && answers.ends_with(&content(LARGE)[LARGE - 100..])),
        Served::Else(rest) => assert!(rest.starts_with(b"GET /") && digits[0] == "0", "{}", rest.len()),
    }
    assert!(noted.requests.load(Ordering::Relaxed) > 300);
}

#[tokio::test]
async fn everything_else_is_left_to_others_with_every_byte() {
    let site = Site::new();
    let huge = format!("GET /small HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(30_000));
    for request in [
        "POST /small HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        "GET /rendered/one HTTP/1.1\r\n\r\n",
        "GET /missing HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET /../etc/passwd HTTP/1.1\r\n\r\n",
        "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n\r\n",
        "GET /small HTTP/1.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "nonsense\r\n\r\n",
        &huge,
    ] {
        let before = "GET /small HTTP/1.1\r\n\r\n";
        let (mut client, _, served) = site.connect(None).await;
        client.write_all(format!("{before}{request}").as_bytes()).await.unwrap();
        let Served::Else(rest) = soon(served).await.unwrap() else { panic!("{request}") };
        assert!(!rest.is_empty() && request.as_bytes().starts_with(&rest), "{request}");
        assert!(rest.len() <= 20_000, "no more is held of a head than is looked at: {}", rest.len());
        assert_eq!(one(&mut client).await.1, b"0123456789");
    }
}

#[tokio::test]
async fn head_that_comes_slowly_is_left_to_others_and_half_a_request_ends() {
    let site = Site::new();
    let (mut client, _, served) = site.connect(None).await;
    client.write_all(b"GET /small HT").await.unwrap();
    let Served::Else(rest) = soon(served).await.unwrap() else { panic!("it has time elsewhere") };
    assert_eq!(rest, b"GET /small HT");
    let (answer, served) = site.said("").await;
    assert!(answer.is_empty() && matches!(served, Served::Ended));
}

#[tokio::test]
async fn reader_that_takes_nothing_is_noted_and_keeps_nobody_waiting() {
    let site = Site::new();
    let (mut deaf, noted, _served) = site.connect(Some(4 << 10)).await;
    deaf.write_all(b"GET /large HTTP/1.1\r\n\r\n").await.unwrap();
    until(|| noted.is_blocked.load(Ordering::Relaxed)).await;
    assert!(noted.taken.load(Ordering::Relaxed) < LARGE);
    assert!(site.answer("/small", "").await.ends_with("0123456789"));
    let (_, body) = one(&mut deaf).await;
    assert!(body == content(LARGE));
    until(|| !noted.is_blocked.load(Ordering::Relaxed)).await;
}

#[tokio::test]
async fn file_that_is_replaced_while_it_is_sent_comes_as_it_was_and_then_as_it_is() {
    let site = Site::new();
    let (mut slow, noted, _served) = site.connect(Some(4 << 10)).await;
    slow.write_all(b"GET /large HTTP/1.1\r\n\r\n").await.unwrap();
    until(|| noted.is_blocked.load(Ordering::Relaxed)).await;
    std::fs::write(site.path("new"), vec![7; LARGE]).unwrap();
    std::fs::rename(site.path("new"), site.path("large")).unwrap();
    site.source.revision.fetch_add(1, Ordering::Relaxed);
    let (_, body) = one(&mut slow).await;
    assert!(body == content(LARGE));
    slow.write_all(b"GET /large HTTP/1.1\r\nRange: bytes=0-3\r\n\r\n").await.unwrap();
    assert_eq!(one(&mut slow).await.1, [7; 4]);
}

#[tokio::test]
async fn file_that_is_cut_while_it_is_sent_ends_the_connection() {
    let site = Site::new();
    let (mut slow, noted, served) = site.connect(Some(4 << 10)).await;
    slow.write_all(b"GET /large HTTP/1.1\r\n\r\n").await.unwrap();
    until(|| noted.is_blocked.load(Ordering::Relaxed)).await;
    let file = std::fs::OpenOptions::new().write(true).open(site.path("large")).unwrap();
    file.set_len(100).unwrap();
    let mut rest = Vec::new();
    let _ = soon(slow.read_to_end(&mut rest)).await;
    assert!(rest.len() < LARGE);
    assert!(matches!(soon(served).await.unwrap(), Served::Ended));
    // Written to in its place, it is a new version at once: no answer has a length that the file does not have.
    let answer = site.answer("/large", "").await;
    assert!(answer.contains("content-length: 100\r\n"), "{}", answer.len());
}

#[tokio::test]
async fn small_file_is_looked_at_again_when_told_so_and_after_a_second() {
    let site = Site::new();
    assert!(site.answer("/small", "").await.ends_with("0123456789"));
    std::fs::write(site.path("small"), b"other").unwrap();
    site.source.revision.fetch_add(1, Ordering::Relaxed);
    assert!(site.answer("/small", "").await.ends_with("\r\n\r\nother"));
    let mut file = std::fs::OpenOptions::new().append(true).open(site.path("small")).unwrap();
    file.write_all(b", longer").unwrap();
    soon(async { while !site.answer("/small", "").await.ends_with("\r\n\r\nother, longer") {} }).await;
    std::fs::remove_file(site.path("small")).unwrap();
    site.source.revision.fetch_add(1, Ordering::Relaxed);
    assert!(matches!(site.said("GET /small HTTP/1.1\r\n\r\n").await.1, Served::Else(_)));
}

#[tokio::test]
async fn link_that_leads_out_of_the_folder_is_left_to_others() {
    let site = Site::new();
    std::os::unix::fs::symlink("small", site.path("inside")).unwrap();
    std::os::unix::fs::symlink(Path::new("/etc/passwd"), site.path("outside")).unwrap();
    assert!(site.answer("/inside", "").await.ends_with("0123456789"));
    assert!(matches!(site.said("GET /outside HTTP/1.1\r\n\r\n").await.1, Served::Else(_)));
}

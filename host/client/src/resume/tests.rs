use std::sync::{Arc, Mutex};

use tokio::{io::AsyncReadExt as _, net::TcpListener};

use super::*;

/// What a server does with one request: the head of its answer, and the body, of which it may send less than it says.
type Answer = Box<dyn Fn(Option<u64>) -> (String, Vec<u8>) + Send + Sync>;

/// A server that gives one answer after the other, the last one again and again, and notes from where it was asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Option<u64>>>>,
}

impl Server {
    async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/big.iso", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                    assert!(stream.read_buf(&mut head).await.unwrap() > 0);
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let from = head.lines().find_map(|line| {
                    line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse::<u64>().ok()
                });
                noted.lock().unwrap().push(from);
                let answer = answers.get(number).or(answers.last()).unwrap();
                let (head, body) = answer(from);
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(&body).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Option<u64>> {
        self.asked.lock().unwrap().clone()
    }
}

const LENGTH: usize = 100_000;

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

/// Answers as a good server does, but sends only so much of it, and may say another length.
fn sends(tag: &'static str, most: usize, says: Option<usize>) -> Answer {
    Box::new(move |from| {
        let all = content();
        let begin = usize::try_from(from.unwrap_or(0)).unwrap();
        if begin >= all.len() {
            let head = format!(
                "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                all.len()
            );
            return (head, Vec::new());
        }
        let rest = &all[begin..];
        let status = match from {
            Some(_) => {
                format!("206 Partial Content\r\nContent-Range: bytes {begin}-{}/{}", all.len() - 1, all.len())
            }
            None => String::from("200 OK"),
        };
        let length = says.unwrap_or(rest.len());
        let head = format!(
            "HTTP/1.1 {status}\r\nETag: \"{tag}\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        (head, rest[..most.min(rest.len())].to_vec())
    })
}

fn says(status: &'static str) -> Answer {
    Box::new(move |_| {
        (format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), Vec::new())
    })
}

async fn fetched(server: &Server, part: &Path) -> Result<u64, ClientError> {
    fetch(&server.url, None, (part, Duration::from_millis(1)), |_, _| {}).await
}

#[tokio::test]
async fn fetch_that_breaks_off_twice_goes_on_where_it_was() {
    let server =
        Server::start(vec![sends("a", 30_000, None), sends("a", 20_000, None), sends("a", LENGTH, None)])
            .await;
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("big.iso.part");
    let mut seen = Vec::new();
    let count =
        fetch(&server.url, None, (&part, Duration::from_millis(1)), |count, total| seen.push((count, total)))
            .await;
    assert_eq!(count.unwrap(), LENGTH as u64);
    assert!(std::fs::read(&part).unwrap() == content());
    assert_eq!(server.asked(), [None, Some(30_000), Some(50_000)]);
    assert!(seen.is_sorted() && seen.iter().all(|(_, total)| *total == Some(LENGTH as u64)), "{seen:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the note is gone");
}

#[tokio::test]
async fn length_that_was_a_lie_is_corrected_by_the_server() {
    let server = Server::start(vec![sends("a", LENGTH, Some(LENGTH + 500)), sends("a", LENGTH, None)]).await;
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    assert_eq!(fetched(&server, &part).await.unwrap(), LENGTH as u64);
    assert!(std::fs::read(&part).unwrap() == content());
    assert_eq!(server.asked(), [None, Some(LENGTH as u64)]);
}

#[tokio::test]
async fn later_call_goes_on_with_the_part_of_the_same_url_only() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    let gone = Server::start(vec![sends("a", 40_000, None), says("404 Not Found")]).await;
    assert!(fetched(&gone, &part).await.unwrap_err().chain().contains("404"));
    assert_eq!(std::fs::metadata(&part).unwrap().len(), 40_000);
    // The same file at another address is not known to be the same.
    let server =
        Server::start(vec![sends("a", 40_000, None), says("403 Forbidden"), sends("a", LENGTH, None)]).await;
    fetched(&server, &part).await.unwrap_err();
    assert_eq!(fetched(&server, &part).await.unwrap(), LENGTH as u64);
    assert_eq!(server.asked(), [None, Some(40_000), Some(40_000)]);
    assert!(std::fs::read(&part).unwrap() == content());
}

#[tokio::test]
async fn server_that_sends_no_pieces_sends_all_anew() {
    let whole = |most: usize| -> Answer {
        Box::new(move |_| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n");
            (head, content()[..most].to_vec())
        })
    };
    let server = Server::start(vec![whole(60_000), whole(LENGTH)]).await;
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    assert_eq!(fetched(&server, &part).await.unwrap(), LENGTH as u64);
    assert!(std::fs::read(&part).unwrap() == content());
    assert_eq!(server.asked(), [None, None]);
}

#[tokio::test]
async fn what_keeps_failing_is_given_up_with_the_reason() {
    let server = Server::start(vec![says("503 Service Unavailable")]).await;
    let folder = tempfile::tempdir().unwrap();
    let error = fetched(&server, &folder.path().join("part")).await.unwrap_err();
    assert!(error.chain().contains("503"), "{error}");
    assert_eq!(server.asked().len(), usize::try_from(MAX_FAILURES).unwrap() + 1);
    let error = download_resumed("ftp://mirror.example/a", None, &folder.path().join("b"), |_, _| {}).await;
    assert!(matches!(error, Err(ClientError::Url { .. })));
}

#[test]
fn ranges_of_content_are_read() {
    let of = |text: &'static str| {
        let headers = HeaderMap::from_iter([(CONTENT_RANGE, text.parse().unwrap())]);
        let ContentRange { first, total } = ContentRange::of(&headers);
        (first, total)
    };
    assert_eq!(of("bytes 5-9/10"), (Some(5), Some(10)));
    assert_eq!(of("bytes 5-9/*"), (Some(5), None));
    assert_eq!(of("bytes */10"), (None, Some(10)));
    assert_eq!(of("lines 1-2/3"), (None, None));
}

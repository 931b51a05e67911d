//! Streams of events as clients have them, on real sockets.

use std::{net::SocketAddr, time::Duration};

use formwork_api::{BASE_PATH, Event};
use formwork_model::{Claim, ObjectsExt as _, Profile, User};
use formwork_store::{Limits, Revision, Store};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

use super::*;
use crate::{
    accept::{self, Door, Places, Service},
    http::routes,
    testing::{Site, Wishes},
};

type Stream = WebSocketStream<TcpStream>;

/// An endpoint that is served in the clear.
struct Served {
    site: Site,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Served {
    /// Serves as many connections at once.
    async fn new(wishes: Wishes, most: usize) -> Self {
        let site = Site::new(wishes);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let service = Service {
            files: None,
            routes: routes(Arc::clone(&site.endpoint)),
            tls: None,
            door: Door::Api,
            places: Places::new(most),
            listed: Some(Arc::clone(&site.endpoint)),
            farewell: Duration::ZERO,
        };
        tokio::spawn(accept::serve(listener, service, stopped));
        Self { site, address, _stop: stop }
    }

    /// Opens a stream; `query` is what its URL asks for.
    async fn stream(&self, query: &str) -> Stream {
        open(self.address, &self.url(query)).await
    }

    fn url(&self, query: &str) -> String {
        let token = self.site.token(600, &[Claim::new("*", "*", "*")]);
        format!("ws://{}{BASE_PATH}/ws?token={token}&{query}", self.address)
    }

    fn store(&self) -> &Store {
        &self.site.endpoint.store
    }
}

async fn open(address: SocketAddr, url: &str) -> Stream {
    let socket = TcpSocket::new_v4().unwrap();
    // What the system keeps for a reader that stands still is not to hide that it does.
    socket.set_recv_buffer_size(16 << 10).unwrap();
    client_async(url, socket.connect(address).await.unwrap()).await.unwrap().0
}

/// Puts a profile with a description of some bytes.
async fn put(store: &Store, name: String, bytes: usize) -> Revision {
    let profile = Profile { name, description: "x".repeat(bytes), ..Profile::default() };
    let written = store.write("user:anna", move |tx| {
        tx.put(Arc::new(profile));
        Ok::<_, ()>(())
    });
    written.await.unwrap().revision
}

/// Reads the next event, or the code and the reason of the end.
async fn next(stream: &mut Stream) -> Result<Event, (u16, String)> {
    loop {
        match stream.next().await.unwrap().unwrap() {
            Message::Text(text) => return Ok(serde_json::from_str(text.as_str()).unwrap()),
            Message::Close(frame) => {
                let frame = frame.unwrap();
                return Err((frame.code.into(), frame.reason.to_string()));
            }
            _ => {}
        }
    }
}

/// The numbers of profiles that were told.
async fn numbers(stream: &mut Stream, count: usize) -> Vec<usize> {
    let mut found = Vec::new();
    while found.len() < count {
        found.push(next(stream).await.unwrap().key.parse().unwrap());
    }
    found
}

#[tokio::test]
async fn listener_whose_token_is_revoked_is_closed_before_the_next_ping() {
    let served = Served::new(Wishes::default(), 10).await;
    let mut stream = served.stream("register=profiles.*.*").await;
    put(served.store(), String::from("0"), 1).await;
    assert_eq!(numbers(&mut stream, 1).await, [0]);
    let anna = served.site.endpoint.snapshot().get::<User>("anna").unwrap();
    let revoked = User { secret: String::from("another"), ..anna.as_ref().clone() };
    let written = served.store().write("user:anna", move |tx| {
        tx.put(Arc::new(revoked));
        Ok::<_, ()>(())
    });
    written.await.unwrap();
    let end =
        tokio::time::timeout(Duration::from_secs(20), next(&mut stream)).await.expect("no ping came yet");
    // What was committed in between may be told; then it is over.
    assert_eq!(end.unwrap_err().0, 1008);
}

#[tokio::test]
async fn slow_reader_is_closed_with_its_reason_and_resumes() {
    let store = Limits { feed_bytes: 1 << 30, ..Limits::default() };
    let served = Served::new(Wishes { store, ..Wishes::default() }, 8).await;
    let mut slow = served.stream("register=profiles.*.*").await;
    let mut quick = served.stream("register=profiles.*.*").await;
    let mut told = 0;
    while served.site.endpoint.hub.served() == 2 {
        told += 1;
        put(served.store(), told.to_string(), 256 << 10).await;
        // Who reads is told of everything meanwhile.
        assert_eq!(numbers(&mut quick, 1).await, [told]);
        assert!(told < 400, "100 MiB wait for a reader that does not read");
    }
    let mut seen = Vec::new();
    let (code, reason) = loop {
        match next(&mut slow).await {
            Ok(event) => seen.push(event.key.parse::<usize>().unwrap()),
            Err(end) => break end,
        }
    };
    assert_eq!(code, u16::from(CloseCode::Again), "{reason}");
    let since = reason.strip_prefix("slow reader: too many events wait; go on with `since=").unwrap();
    let mut resumed =
        served.stream(&format!("register=profiles.*.*&since={}", since.trim_end_matches('`'))).await;
    assert!(seen.len() < told, "it missed something");
    seen.extend(numbers(&mut resumed, told - seen.len()).await);
    assert_eq!(seen, (1..=told).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_between_replay_and_live() {
    const WRITERS: usize = 4;
    const WRITES: usize = 150;
    let served = Served::new(Wishes::default(), 256).await;
    let begin = served.store().snapshot().revision().0;
    let end = begin + (WRITERS * WRITES) as u64;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = served.store().clone();
            tokio::spawn(async move {
                for number in 0..WRITES {
                    put(&store, format!("{writer}-{number}"), 10).await;
                }
            })
        })
        .collect();
    let mut listeners = Vec::new();
    while listeners.len() < 60 {
        let now = served.store().snapshot().revision().0;
        // Some replay much, some nothing, some begin with a command.
        let since = now.saturating_sub([0, 1, 40][listeners.len() % 3]).max(begin);
        let by_command = listeners.len() % 2 == 0;
        let filter = if by_command { "" } else { "&register=profiles.create.*" };
        let (address, url) = (served.address, served.url(&format!("since={since}{filter}")));
        listeners.push(tokio::spawn(async move {
            let mut stream = open(address, &url).await;
            if by_command {
                stream.send(Message::text("register profiles.create.*")).await.unwrap();
                assert_eq!(next(&mut stream).await.unwrap().r#type, "websocket");
            }
            let mut seen = Vec::new();
            while seen.last().copied().unwrap_or(since) < end {
                seen.push(next(&mut stream).await.unwrap().revision.unwrap());
            }
            assert_eq!(seen, (since + 1..=end).collect::<Vec<_>>());
        }));
        tokio::task::yield_now().await;
    }
    for task in writers.into_iter().chain(listeners) {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn listeners_are_told_that_the_endpoint_goes_down_after_all_that_was_committed() {
    let served = Served::new(Wishes::default(), 8).await;
    let mut live = served.stream("register=profiles.*.*").await;
    let since = served.store().snapshot().revision().0;
    let mut replaying = served.stream(&format!("since={since}&register=profiles.*.*")).await;
    let mut idle = served.stream(&format!("since={since}")).await;
    put(served.store(), String::from("1"), 1).await;
    served.store().close().await;
    for stream in [&mut live, &mut replaying] {
        assert_eq!(numbers(stream, 1).await, [1]);
    }
    for stream in [&mut live, &mut replaying, &mut idle] {
        let again = u16::from(CloseCode::Again);
        assert_eq!(next(stream).await.unwrap_err(), (again, String::from("the endpoint goes down")));
    }
    let farewell = served.site.endpoint.hub.farewell(Duration::from_secs(3600));
    let reading = async {
        for stream in [&mut live, &mut replaying, &mut idle] {
            while let Some(Ok(_)) = stream.next().await {}
        }
    };
    tokio::join!(farewell, reading);
}

#[tokio::test]
async fn stream_keeps_its_slot_and_is_listed_until_it_ends() {
    let served = Served::new(Wishes::default(), 1).await;
    let mut stream = served.stream("register=profiles.*.*").await;
    let listed = served.site.endpoint.connections.all();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].r#type, listed[0].principal.as_str()), ("websocket", "user:anna"));
    let again = async || {
        let socket = TcpStream::connect(served.address).await.unwrap();
        client_async(served.url("register=profiles.*.*"), socket).await
    };
    assert_refused(again().await);
    put(served.store(), String::from("1"), 1).await;
    assert_eq!(numbers(&mut stream, 1).await, [1]);
    drop(stream);
    let mut second = loop {
        match again().await {
            Ok((stream, _)) => break stream,
            refused => assert_refused(refused),
        }
    };
    put(served.store(), String::from("2"), 1).await;
    assert_eq!(numbers(&mut second, 1).await, [2]);
    assert_eq!(served.site.endpoint.connections.all().len(), 1);
}

fn assert_refused<T>(opened: Result<T, tokio_tungstenite::tungstenite::Error>) {
    use tokio_tungstenite::tungstenite::Error;
    match opened {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 429),
        Err(error) => panic!("no answer came: {error}"),
        Ok(_) => panic!("there was a slot for a second one"),
    }
}

#[tokio::test]
async fn commands_are_answered_in_order_also_those_that_are_refused() {
    let served = Served::new(Wishes::default(), 8).await;
    let mut stream = served.stream("").await;
    let commands =
        ["register a.b", "register profiles.*.*", "deregister profiles.*.*", "sing", "register *.*.*"];
    for command in commands {
        stream.send(Message::text(command)).await.unwrap();
    }
    let mut answers = Vec::new();
    for _ in commands {
        let event = next(&mut stream).await.unwrap();
        assert_eq!(event.r#type, "websocket");
        answers.push(event.action);
    }
    assert_eq!(answers, ["error", "register", "deregister", "error", "register"]);
    put(served.store(), String::from("1"), 1).await;
    assert_eq!(numbers(&mut stream, 1).await, [1]);
}

#[tokio::test]
async fn command_that_is_too_long_ends_the_stream_before_it_has_come() {
    let served = Served::new(Wishes::default(), 4).await;
    let mut stream = served.stream("").await;
    // A text of 64 KiB and one byte, of which only the head is sent: it is masked with zeros (RFC 6455, section 5.2).
    let length = (MAX_COMMAND_BYTES as u64 + 1).to_be_bytes();
    let head = [&[0x81, 0xff], &length[..], &[0; 4]].concat();
    stream.get_mut().write_all(&head).await.unwrap();
    let ended = async { while let Some(Ok(_)) = stream.next().await {} };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the rest is waited for");
}

#[tokio::test]
async fn frame_that_is_none_of_the_protocol_is_answered_with_its_code() {
    let served = Served::new(Wishes::default(), 10).await;
    // Frames as they stand on the wire, with a mask of zeros where there is one.
    let masked = |first: u8, payload: &[u8]| {
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    };
    let oversized = [&[0x81, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat();
    for (frame, code) in [
        (masked(0x81, b"\xff\xfe"), 1007),
        (vec![0x81, 0x01, b'a'], 1002),
        (masked(0x83, b"a"), 1002),
        (oversized, 1009),
    ] {
        let mut stream = served.stream("").await;
        stream.get_mut().write_all(&frame).await.unwrap();
        assert_eq!(next(&mut stream).await.unwrap_err().0, code, "{frame:x?}");
    }
}

#[tokio::test]
async fn frame_of_bytes_is_acknowledged_as_no_command() {
    let served = Served::new(Wishes::default(), 10).await;
    let mut stream = served.stream("").await;
    stream.send(Message::Binary(b"register machines.*.*".to_vec().into())).await.unwrap();
    let told = next(&mut stream).await.unwrap();
    assert_eq!((told.r#type.as_str(), told.action.as_str()), ("websocket", "error"));
    stream.send(Message::Text("register machines.*.*".into())).await.unwrap();
    assert_eq!(next(&mut stream).await.unwrap().action, "register");
}

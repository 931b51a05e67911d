//! Follows HTTP exchanges by the headers of their TCP segments. Nothing is put together again: a request is the first
//! segment that begins like one, and the length of an answer is counted by sequence numbers, so that a capture that
//! kept the first bytes of each packet says as much as a whole one.

use std::net::IpAddr;

use super::flows::Flows;
use super::frame::{Decoded, Segment};
use super::tftp::Step;
use crate::story::{ClosedSeen, HttpEnd, HttpSeen, Peer, Transport, What, text};

/// Most headers of a message that are looked at; a message with more is read up to its first line.
const MAX_HEADERS: usize = 64;

/// The client's address and port, then the server's.
type Key = (IpAddr, u16, IpAddr, u16);

/// The exchanges under way.
#[derive(Debug)]
pub(super) struct Exchanges {
    flows: Flows<Key, Exchange>,
    /// Connections that were asked for and not answered yet.
    asked: Flows<Key, Asked>,
}

/// A connection that a client asks for.
#[derive(Debug)]
struct Asked {
    at_us: u64,
    client: Peer,
    server: Peer,
}

#[derive(Debug)]
struct Exchange {
    head_only: bool,
    target: String,
    client: Peer,
    server: Peer,
    began_us: u64,
    last_us: u64,
    /// Where the request begins, by which its repeats are known.
    sequence: u32,
    response: Option<Response>,
}

#[derive(Debug)]
struct Response {
    status: u16,
    length: Option<u64>,
    /// The sequence number behind the last byte seen, and the bytes of the body up to there.
    next: u32,
    bytes: u64,
}

impl Exchanges {
    pub(super) fn new() -> Self {
        Self { flows: Flows::new(), asked: Flows::new() }
    }

    pub(super) fn segment(
        &mut self,
        at_us: u64,
        decoded: &Decoded<'_>,
        segment: &Segment<'_>,
        steps: &mut Vec<Step>,
    ) {
        let end = |peer: &Peer| Some((peer.address?, peer.port?));
        let (Some(from), Some(to)) = (end(&decoded.from), end(&decoded.to)) else { return };
        let asked = (from.0, from.1, to.0, to.1);
        let answered = (to.0, to.1, from.0, from.1);
        self.connect(at_us, decoded, segment, (asked, answered), steps);
        if let (Some(flow), Some(acknowledged)) = (self.flows.find(&asked), segment.acknowledged) {
            flow.received(at_us, acknowledged);
        }
        if let Some(request) = Request::read(segment.bytes) {
            self.request(at_us, asked, decoded, segment.sequence, request, steps);
        }
        let (key, by_client) =
            if self.flows.find(&asked).is_some() { (asked, true) } else { (answered, false) };
        let Some(flow) = self.flows.find(&key) else { return };
        flow.last_us = at_us;
        if !by_client {
            flow.server = decoded.from;
            flow.answer(at_us, segment, steps);
        }
        let end = match (segment.rst, segment.fin, by_client) {
            (true, ..) => HttpEnd::Reset,
            (_, true, true) => HttpEnd::ClosedByClient,
            (_, true, false) => HttpEnd::ClosedByServer,
            // A new connection from the same port.
            _ if segment.syn => HttpEnd::Silence,
            _ if flow.is_whole() => HttpEnd::ClosedByServer,
            _ => return,
        };
        if let Some(flow) = self.flows.remove(&key) {
            steps.push(flow.end(end));
        }
    }

    /// Follows the beginning of a connection, which is told only where nobody takes it.
    fn connect(
        &mut self,
        at_us: u64,
        decoded: &Decoded<'_>,
        segment: &Segment<'_>,
        (asked, answered): (Key, Key),
        steps: &mut Vec<Step>,
    ) {
        if segment.syn && segment.acknowledged.is_none() {
            if self.asked.find(&asked).is_none() {
                let question = Asked { at_us, client: decoded.from, server: decoded.to };
                steps.extend(self.asked.insert(asked, question).map(|question| question.end(None)));
            }
        } else if let Some(question) = self.asked.remove(&answered).filter(|_| segment.rst) {
            steps.push(question.end(Some((at_us, decoded.from))));
        }
    }

    fn request(
        &mut self,
        at_us: u64,
        key: Key,
        decoded: &Decoded<'_>,
        sequence: u32,
        request: Request,
        steps: &mut Vec<Step>,
    ) {
        if self.flows.find(&key).is_some_and(|flow| flow.sequence == sequence) {
            return;
        }
        // On a connection that is kept, the next request ends an answer whose length nobody named.
        steps.extend(self.flows.remove(&key).map(|flow| flow.end(HttpEnd::ClosedByServer)));
        let exchange = Exchange {
            head_only: request.method == "HEAD",
            target: request.target.clone(),
            client: decoded.from,
            server: decoded.to,
            began_us: at_us,
            last_us: at_us,
            sequence,
            response: None,
        };
        let Request { method, target, host, agent } = request;
        let seen = HttpSeen::Request { method, target, host, agent };
        steps.push((at_us, decoded.from, decoded.to, What::Http(seen)));
        steps.extend(self.flows.insert(key, exchange).map(|flow| flow.end(HttpEnd::Silence)));
    }

    /// Ends the exchanges that are still under way when the capture ends.
    pub(super) fn finish(self, steps: &mut Vec<Step>) {
        steps.extend(self.flows.into_flows().map(|flow| flow.end(HttpEnd::Silence)));
        steps.extend(self.asked.into_flows().map(|question| question.end(None)));
    }
}

impl Asked {
    /// Tells that nobody took the connection, refused by whom and when.
    fn end(self, refused: Option<(u64, Peer)>) -> Step {
        let port = self.server.port.unwrap_or(0);
        let closed = ClosedSeen { transport: Transport::Tcp, port, silent: refused.is_none() };
        let (at_us, from) = refused.unwrap_or((self.at_us, self.server));
        (at_us, from, self.client, What::Closed(closed))
    }
}

struct Request {
    method: String,
    target: String,
    host: Option<String>,
    agent: Option<String>,
}

impl Request {
    /// Reads the head of a request, also where the capture or the segment cut it off behind its first line.
    fn read(bytes: &[u8]) -> Option<Self> {
        const METHODS: [&[u8]; 3] = [b"GET ", b"HEAD ", b"POST "];
        if !METHODS.iter().any(|method| bytes.starts_with(method)) {
            return None;
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        // An error in a header leaves what was read before it.
        let _ = request.parse(bytes);
        let header = |name| header(request.headers, name).map(text);
        Some(Self {
            method: request.method?.to_owned(),
            target: text(request.path?.as_bytes()),
            host: header("host"),
            agent: header("user-agent"),
        })
    }
}

fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

impl Exchange {
    /// The client has everything up to a sequence number, also what the capture did not see.
    fn received(&mut self, at_us: u64, acknowledged: u32) {
        self.last_us = at_us;
        if let Some(response) = &mut self.response {
            response.count(acknowledged);
        }
    }

    fn answer(&mut self, at_us: u64, segment: &Segment<'_>, steps: &mut Vec<Step>) {
        if let Some(response) = &mut self.response {
            response.count(segment.sequence.wrapping_add(segment.wire_len));
            return;
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        let whole = parsed.parse(segment.bytes);
        let Some(status) = parsed.code else { return };
        let head = match whole {
            Ok(httparse::Status::Complete(len)) => u32::try_from(len).unwrap_or(0),
            // Cut off: what follows in later segments is counted, what is in this one is not known.
            _ => segment.wire_len,
        };
        let length = header(parsed.headers, "content-length");
        let length = length.and_then(|length| std::str::from_utf8(length).ok()?.trim().parse().ok());
        let seen = HttpSeen::Response { target: self.target.clone(), status, length };
        steps.push((at_us, self.server, self.client, What::Http(seen)));
        self.response = Some(Response {
            status,
            length,
            next: segment.sequence.wrapping_add(segment.wire_len),
            bytes: segment.wire_len.saturating_sub(head).into(),
        });
    }

    /// Tells whether the answer has all the bytes that it will have.
    fn is_whole(&self) -> bool {
        let Some(response) = &self.response else { return false };
        let empty = self.head_only || matches!(response.status, 204 | 304);
        empty || response.length.is_some_and(|length| response.bytes >= length)
    }

    fn end(self, end: HttpEnd) -> Step {
        let whole = self.is_whole();
        let millis = self.last_us.saturating_sub(self.began_us) / 1000;
        let response =
            self.response.as_ref().map(|response| (response.status, response.bytes, response.length));
        let seen = match response {
            Some((status, bytes, length))
                if whole || (length.is_none() && end == HttpEnd::ClosedByServer) =>
            {
                let bytes = if self.head_only { 0 } else { bytes };
                HttpSeen::Done { target: self.target, status, bytes, millis }
            }
            Some((status, bytes, length)) => {
                HttpSeen::Broken { target: self.target, status: Some(status), bytes, length, end, millis }
            }
            None => {
                HttpSeen::Broken { target: self.target, status: None, bytes: 0, length: None, end, millis }
            }
        };
        (self.last_us, self.server, self.client, What::Http(seen))
    }
}

impl Response {
    /// Counts the bytes up to a sequence number; gaps of the capture are counted with them.
    fn count(&mut self, end: u32) {
        let ahead = end.wrapping_sub(self.next);
        if ahead < 1 << 31 {
            self.next = end;
            self.bytes = self.bytes.saturating_add(ahead.into());
        }
    }
}

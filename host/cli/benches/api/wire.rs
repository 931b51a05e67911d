//! A client that costs next to nothing: requests of one shape, one after the other, on one connection.
//!
//! What sends the load has the same processors as what takes it, so that a client that reads what it is told would measure
//! itself. This one looks at the status and at the length of an answer and takes the rest as bytes.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What an answer's head may say in so many bytes.
const MAX_HEAD: usize = 64 << 10;

trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// Where requests go and what all of them say.
#[derive(Clone)]
pub(crate) struct Target {
    port: u16,
    /// The settings of TLS; none for a server that speaks without.
    tls: Option<TlsConnector>,
    /// Lines of the head, each with its end.
    head: Arc<str>,
}

impl Target {
    /// A server on loopback that speaks plain HTTP.
    pub(crate) fn plain(port: u16, head: &str) -> Self {
        Self { port, tls: None, head: head.into() }
    }

    /// A server on loopback that speaks HTTPS.
    pub(crate) fn secure(port: u16, head: &str) -> Self {
        let config = formwork_tls::client_config(formwork_tls::Trust::Anybody).expect("settings of TLS");
        Self { port, tls: Some(TlsConnector::from(Arc::new(config))), head: head.into() }
    }

    pub(crate) async fn connect(&self) -> Result<Wire> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Transport> = match &self.tls {
            None => Box::new(tcp),
            Some(tls) => {
                let name = ServerName::try_from("localhost").map_err(Error::other)?;
                Box::new(tls.connect(name, tcp).await?)
            }
        };
        Ok(Wire { stream: BufReader::with_capacity(64 << 10, stream), head: Arc::clone(&self.head) })
    }
}

/// One connection.
pub(crate) struct Wire {
    stream: BufReader<Box<dyn Transport>>,
    head: Arc<str>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Returns the body of an answer that is what was hoped for.
    pub(crate) fn good(self) -> Result<Vec<u8>> {
        let words = || format!("status {}: {}", self.status, String::from_utf8_lossy(&self.body));
        if self.status < 300 { Ok(self.body) } else { Err(Error::other(words())) }
    }
}

impl Wire {
    /// Sends a request and reads the answer to its end.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        let length = body.len();
        let head = &self.head;
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{head}Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).await?;
        self.stream.flush().await?;
        let (status, length) = self.head().await?;
        let mut body = Vec::new();
        match length {
            Some(length) => self.read(length, &mut body).await?,
            None => while self.chunk(&mut body).await? {},
        }
        Ok(Answer { status, body })
    }

    /// Reads a chunk of an answer (RFC 9112 section 7.1); tells whether it was not the last.
    async fn chunk(&mut self, body: &mut Vec<u8>) -> Result<bool> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let length = usize::from_str_radix(line.trim_end(), 16).map_err(Error::other)?;
        self.read(length, body).await?;
        line.clear();
        self.stream.read_line(&mut line).await?;
        Ok(length > 0)
    }

    /// Appends so many bytes.
    async fn read(&mut self, length: usize, body: &mut Vec<u8>) -> Result<()> {
        let start = body.len();
        body.resize(start + length, 0);
        if let Some(place) = body.get_mut(start..) {
            self.stream.read_exact(place).await?;
        }
        Ok(())
    }

    /// Opens a stream of events with a filter.
    pub(crate) async fn listen(mut self, filter: &str) -> Result<Frames> {
        let head = &self.head;
        let request = format!(
            "GET /api/v3/ws?register={filter} HTTP/1.1\r\nHost: localhost\r\n{head}Connection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        match self.head().await? {
            (101, _) => Ok(Frames { stream: self.stream, buffer: Vec::new() }),
            (status, _) => Err(Error::other(format!("status {status} instead of a websocket"))),
        }
    }

    /// Reads the head of an answer: its status and the length of its body, if it does not come in chunks.
    async fn head(&mut self) -> Result<(u16, Option<usize>)> {
        let (mut status, mut length, mut read) = (0, Some(0), 0);
        let mut line = String::new();
        loop {
            line.clear();
            read += self.stream.read_line(&mut line).await?;
            if line.is_empty() || read > MAX_HEAD {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let text = line.trim_end();
            if text.is_empty() {
                return Ok((status, length));
            }
            if status == 0 {
                status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(1);
            } else if let Some((name, value)) = text.split_once(':') {
                if name.eq_ignore_ascii_case("content-length") {
                    length = Some(value.trim().parse().map_err(Error::other)?);
                }
                if name.eq_ignore_ascii_case("transfer-encoding") {
                    length = None;
                }
            }
        }
    }
}

/// A stream of events, as frames that nobody looks into.
pub(crate) struct Frames {
    stream: BufReader<Box<dyn Transport>>,
    buffer: Vec<u8>,
}

impl Frames {
    /// Reads frames up to and with the next one of text.
    pub(crate) async fn next(&mut self) -> Result<()> {
        loop {
            let first = self.stream.read_u8().await?;
            let length = match self.stream.read_u8().await? & 0x7f {
                126 => usize::from(self.stream.read_u16().await?),
                127 => usize::try_from(self.stream.read_u64().await?).map_err(Error::other)?,
                short => usize::from(short),
            };
            self.buffer.resize(length, 0);
            self.stream.read_exact(&mut self.buffer).await?;
            match first & 0x0f {
                1 => return Ok(()),
                8 => return Err(Error::other("the endpoint ended the stream")),
                _ => {}
            }
        }
    }
}

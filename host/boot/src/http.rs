//! Files over HTTP/1.1 in the clear: plain requests for real files are answered here, with `sendfile`. Everything else, with
//! what was read of it, goes to whoever serves the rest.
//!
//! | module | holds |
//! |---|---|
//! | `cache` | files that are open or in memory, for a second without a look at the disk |
//! | `load` | a file as it is kept |
//! | `send` | the answer on its way to a socket that does not wait |
//! | `counts` | what was answered |
//!
//! Who accepts the connections limits their number and the time that a client may take; it learns by [`Progress`] how each
//! gets on, and drops [`HttpFiles::serve`] when one is over.

mod cache;
mod counts;
mod load;
mod send;

use std::{io, path::PathBuf, sync::Arc, time::SystemTime};

use formwork_boot_proto::http::{Ask, Parsed, answer_head, parse};
use tokio::{net::TcpStream, task::coop, time::Instant};

use self::{
    cache::{Cache, Lookup},
    load::{Entry, load},
    send::{Body, send},
};

pub use self::counts::{HttpCounters, HttpCounts};

/// Bytes that are read at once: some requests, as loaders send few header fields.
const READ_BYTES: usize = 4 << 10;

/// Where files are.
pub trait StaticFiles: Send + Sync + 'static {
    /// Returns the regular file at a path of the file space, whose first slash is gone; `None` when there is none, or something
    /// else answers for the path. Blocks the thread.
    fn find(&self, path: &str) -> Option<PathBuf>;

    /// Returns a number that grows whenever [`StaticFiles::find`] may have another answer for what is not on the disk.
    fn revision(&self) -> u64;

    /// Returns the time, for the date of answers.
    fn now(&self) -> SystemTime;
}

/// Learns how a connection gets on.
pub trait Progress: Sync {
    /// What a request holds while it is in flight.
    type Request: Send;

    /// Notes a request.
    fn begin(&self) -> Self::Request;

    /// Notes bytes that the system took for the client.
    fn took(&self, bytes: usize);

    /// Notes whether the system takes no more bytes until the client has taken some of this answer.
    fn blocked(&self, is_blocked: bool);
}

/// How it ended.
#[derive(Debug)]
pub enum Served {
    /// The connection is over.
    Ended,
    /// The next request is for somebody else; with what was read of it and behind it.
    Else(Vec<u8>),
}

/// Answers plain requests for files.
pub struct HttpFiles {
    files: Arc<dyn StaticFiles>,
    cache: Cache,
    counters: Arc<HttpCounters>,
}

/// What follows what was read.
enum Next {
    /// More of the client.
    Read,
    /// The end.
    End,
    /// Somebody else.
    Else,
}

impl HttpFiles {
    /// Makes an answerer with nothing in its cache.
    #[must_use]
    pub fn new(files: Arc<dyn StaticFiles>) -> Self {
        Self { files, cache: Cache::default(), counters: Arc::default() }
    }

    /// Returns the counters, which go on while it serves.
    #[must_use]
    pub fn counters(&self) -> Arc<HttpCounters> {
        Arc::clone(&self.counters)
    }

    /// Serves a connection until it ends or somebody else has to go on. Needs a runtime of tokio.
    ///
    /// A head that does not come as a whole is for somebody else too, who gives clients time for it.
    pub async fn serve(&self, stream: &TcpStream, progress: &impl Progress) -> Served {
        loop {
            if stream.readable().await.is_err() {
                return Served::Ended;
            }
            // A connection that waits holds no memory for what may come.
            let mut input = Vec::new();
            match fill(stream, &mut input) {
                Ok(true) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Ok(false) | Err(_) => return Served::Ended,
            }
            match self.answer_all(stream, progress, &mut input).await {
                Next::Read => {}
                Next::End => return Served::Ended,
                Next::Else => {
                    self.counters.handed_on();
                    return Served::Else(input);
                }
            }
        }
    }

    /// Answers the requests that were read, in order, and leaves what is not answered.
    async fn answer_all(&self, stream: &TcpStream, progress: &impl Progress, input: &mut Vec<u8>) -> Next {
        let mut head = Vec::new();
        loop {
            match parse(input) {
                Parsed::Partial if input.is_empty() => return Next::Read,
                Parsed::Partial => match fill(stream, input) {
                    Ok(true) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Else,
                    Ok(false) | Err(_) => return Next::End,
                },
                Parsed::Other => return Next::Else,
                Parsed::Ask(ask) => {
                    let request = progress.begin();
                    let Some(entry) = self.find(&ask.path).await else { return Next::Else };
                    head.clear();
                    let sent = self.answer(stream, progress, (&ask, &entry), &mut head).await;
                    drop(request);
                    if let Err(error) = sent {
                        tracing::debug!(file = &*ask.path, %error, "a file was not sent to its end");
                        return Next::End;
                    }
                    let (bytes, closes) = (ask.bytes, ask.closes);
                    if closes {
                        return Next::End;
                    }
                    input.drain(..bytes);
                    // Somebody who sends a thousand requests at once does not keep others waiting.
                    coop::consume_budget().await;
                }
            }
        }
    }

    async fn answer(
        &self,
        stream: &TcpStream,
        progress: &impl Progress,
        (ask, entry): (&Ask<'_>, &Entry),
        head: &mut Vec<u8>,
    ) -> io::Result<()> {
        let selection = ask.conditions.select(&entry.version, entry.len);
        let about = (&entry.version, entry.len, entry.kind);
        let (first, count) = answer_head(head, selection, about, (self.files.now(), ask.closes));
        let body = if ask.head_only { Body::Nothing } else { entry.body(first, count) };
        tracing::debug!(file = &*ask.path, first, count, "http");
        send(stream, progress, head, body).await?;
        self.counters.answered(if ask.head_only { 0 } else { count });
        Ok(())
    }

    /// Returns the file at a path; nothing when somebody else has to answer.
    async fn find(&self, path: &str) -> Option<Arc<Entry>> {
        // What changes while it is looked for is seen the next time.
        let (revision, now) = (self.files.revision(), Instant::now());
        let known = match self.cache.get(path, revision, now) {
            Lookup::Fresh(entry) if entry.is_unchanged() => return Some(entry),
            Lookup::Fresh(entry) | Lookup::Stale(entry) => Some(entry),
            Lookup::Unknown => None,
        };
        let (files, asked) = (Arc::clone(&self.files), path.to_owned());
        let loading = tokio::task::spawn_blocking(move || load(&files.find(&asked)?, known));
        match loading.await.ok().flatten() {
            Some(entry) => {
                self.cache.put(path, Arc::clone(&entry), revision, now);
                Some(entry)
            }
            None => {
                self.cache.forget(path);
                None
            }
        }
    }
}

impl std::fmt::Debug for HttpFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpFiles").field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// Reads what is there without waiting; false at the end of the stream.
fn fill(stream: &TcpStream, input: &mut Vec<u8>) -> io::Result<bool> {
    input.reserve(READ_BYTES);
    stream.try_read_buf(input).map(|bytes| bytes > 0)
}

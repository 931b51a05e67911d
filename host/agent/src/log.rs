//! The way of a job's words to its log: in order, about each second or at 64 KiB, and never more in memory than that.

use std::{mem::take, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::session::Session;

/// At this many bytes a chunk is sent at once (drp-api.md 9.5).
const CHUNK: usize = 64 << 10;

/// How long words may wait for more.
const PERIOD: Duration = Duration::from_secs(1);

/// Pieces that wait while the endpoint does not answer. When they are there, writers wait too.
const QUEUE: usize = 16;

/// The log of one job. It is written through [`LogWriter`]s and ends with [`JobLog::close`].
#[derive(Debug)]
pub(crate) struct JobLog {
    writer: LogWriter,
    sender: JoinHandle<()>,
}

/// Appends to the log of a job. Clones write to the same log.
#[derive(Clone, Debug)]
pub struct LogWriter {
    queue: mpsc::Sender<Vec<u8>>,
}

impl LogWriter {
    /// Appends bytes. Waits when the endpoint is behind.
    pub async fn write(&self, bytes: &[u8]) {
        for piece in bytes.chunks(CHUNK) {
            // The receiver only ends when the log is closed; nobody reads what comes later.
            if self.queue.send(piece.to_vec()).await.is_err() {
                return;
            }
        }
    }

    /// Appends a line.
    pub async fn line(&self, text: &str) {
        self.write(format!("{text}\n").as_bytes()).await;
    }
}

#[cfg(test)]
impl LogWriter {
    /// Makes a writer whose words the test reads, of any number.
    pub(crate) fn collecting() -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (queue, pieces) = mpsc::channel(10_000);
        (Self { queue }, pieces)
    }
}

impl JobLog {
    /// Opens the log of a job.
    pub(crate) fn open(session: Arc<Session>, job: &str) -> Self {
        let (queue, pieces) = mpsc::channel(QUEUE);
        let job = job.to_owned();
        let sender =
            tokio::spawn(pump(pieces, move |chunk| append(Arc::clone(&session), job.clone(), chunk)));
        Self { writer: LogWriter { queue }, sender }
    }

    /// Returns a writer.
    pub(crate) fn writer(&self) -> LogWriter {
        self.writer.clone()
    }

    /// Waits until all that was written is with the endpoint. All other writers must be gone.
    pub(crate) async fn close(self) {
        drop(self.writer);
        // It fails only when the task panicked, which was reported there.
        self.sender.await.ok();
    }
}

/// Sends one chunk. What the endpoint refuses is lost: the log may be gone together with its job.
async fn append(session: Arc<Session>, job: String, chunk: Vec<u8>) {
    let (job, chunk) = (job.as_str(), chunk.as_slice());
    let appended = session
        .finish("append to the log", |client| async move { client.job_log_append(job, chunk).await })
        .await;
    if let Err(error) = appended {
        tracing::warn!(job.id = job, bytes = chunk.len(), "part of the log is lost: {error}");
    }
}

/// Gathers pieces into chunks and hands them on in order, until all writers are gone.
async fn pump<F: Future<Output = ()>>(mut pieces: mpsc::Receiver<Vec<u8>>, send: impl Fn(Vec<u8>) -> F) {
    let mut chunk: Vec<u8> = Vec::new();
    let mut due = Instant::now();
    loop {
        let waiting = !chunk.is_empty();
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            () = sleep_until(due), if waiting => {
                send(take(&mut chunk)).await;
                continue;
            }
        };
        let Some(piece) = piece else { break };
        if chunk.is_empty() {
            due = Instant::now() + PERIOD;
        }
        if chunk.len() + piece.len() > CHUNK {
            send(take(&mut chunk)).await;
            due = Instant::now() + PERIOD;
        }
        chunk.extend_from_slice(&piece);
    }
    if !chunk.is_empty() {
        send(chunk).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Sent = Arc<Mutex<Vec<Vec<u8>>>>;

    fn start() -> (LogWriter, Sent, JoinHandle<()>) {
        let (queue, pieces) = mpsc::channel(QUEUE);
        let sent: Sent = Arc::default();
        let to = Arc::clone(&sent);
        let pump = tokio::spawn(pump(pieces, move |chunk| {
            to.lock().unwrap().push(chunk);
            std::future::ready(())
        }));
        (LogWriter { queue }, sent, pump)
    }

    #[tokio::test(start_paused = true)]
    async fn words_of_one_second_go_together() {
        let (writer, sent, _pump) = start();
        writer.line("a").await;
        writer.line("b").await;
        tokio::time::sleep(PERIOD * 2).await;
        writer.line("c").await;
        tokio::time::sleep(PERIOD * 2).await;
        assert_eq!(*sent.lock().unwrap(), [b"a\nb\n".to_vec(), b"c\n".to_vec()]);
    }

    #[tokio::test(start_paused = true)]
    async fn order_is_kept_and_no_chunk_is_larger_than_64_kib() {
        let (writer, sent, pump) = start();
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        for part in text.chunks(1000) {
            writer.write(part).await;
        }
        writer.write(&text).await;
        drop(writer);
        pump.await.unwrap();
        let sent = sent.lock().unwrap();
        assert!(sent.iter().all(|chunk| chunk.len() <= CHUNK && !chunk.is_empty()));
        assert_eq!(sent.concat(), [text.clone(), text].concat());
    }
}

//! Threads of their own for listeners, which come after all else.
//!
//! What a thousand listeners are sent of one change takes many times what the change itself does. On the threads of the API
//! whoever makes the next change would wait for it.

use std::{num::NonZeroUsize, sync::OnceLock, thread};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// How much lower than usual the threads come, as `nice` counts. A thread at 10 gets about a tenth of a processor that others
/// want as well: enough to go on, and too little to be in the way.
const NICENESS: i32 = 10;

/// The most threads: the system shares what is left of the processors among them anyway.
const MOST: usize = 2;

/// The threads that listeners are served on. They start with the first listener.
#[derive(Default)]
pub(super) struct Threads(OnceLock<Option<Runtime>>);

impl Threads {
    /// Starts the threads if there are none, with what they are to do first. Where the system gives none, those of the caller
    /// serve listeners too.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(&self, first: impl FnOnce() -> F) {
        let mut is_new = false;
        self.0.get_or_init(|| {
            is_new = true;
            started().inspect_err(|error| tracing::warn!(%error, "no threads for listeners of events")).ok()
        });
        if is_new {
            self.spawn(first());
        }
    }

    /// Runs something on the threads.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        match self.0.get() {
            Some(Some(runtime)) => runtime.spawn(future),
            _ => tokio::spawn(future),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take().flatten() {
            // The last owner can be a listener itself, which cannot wait for its own thread.
            runtime.shutdown_background();
        }
    }
}

fn started() -> std::io::Result<Runtime> {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Builder::new_multi_thread()
        .worker_threads((processors / 2).clamp(1, MOST))
        .thread_name("listeners")
        .on_thread_start(|| {
            // Of the system's priorities this is the one of a thread.
            if let Err(error) = rustix::process::nice(NICENESS) {
                tracing::debug!(%error, "a thread for listeners has the priority of others");
            }
        })
        .enable_all()
        .build()
}

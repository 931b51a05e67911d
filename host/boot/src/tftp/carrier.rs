//! Threads that carry transfers: each waits for packets of all its clients and for the next deadline.
//!
//! A transfer without windows is a packet there and a packet back, some hundred thousand times. A task of the runtime
//! costs more for each of them than the sockets do, and waits for whatever else the runtime does.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use formwork_boot_proto::tftp::Batch;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::time::Instant;

use super::LOG;
use super::carried::{Carried, Next};
use super::deadlines::Deadlines;

/// Events taken at once.
const EVENTS: usize = 64;

/// The event that says that something is in the letter box. No transfer has this number.
const MAIL: u64 = u64::MAX;

/// More threads than this only take turns at the network.
const THREADS_MAX: usize = 4;

/// How long a thread with one transfer attends to it alone. What comes meanwhile for the thread waits so long at most,
/// and only where that client has just fallen silent.
pub(super) const ATTENTION: Duration = Duration::from_millis(5);

/// The clock of all transfers: milliseconds since the service began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn now_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The threads. They end when it is dropped, and the transfers with them.
#[derive(Debug)]
pub(super) struct Carriers {
    clock: Clock,
    threads: Vec<(Arc<Mailbox>, Option<JoinHandle<()>>)>,
}

/// How a thread gets its transfers.
struct Mailbox {
    new: Mutex<Vec<Carried>>,
    /// Transfers of this thread, those in the box included.
    load: AtomicUsize,
    /// How many are in the box.
    waiting: AtomicUsize,
    stop: AtomicBool,
    wake: EventFd,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Mailbox").field("load", &self.load).finish_non_exhaustive()
    }
}

impl Carriers {
    /// Starts a thread for each processor, four at most.
    ///
    /// # Errors
    ///
    /// The system has no more threads or files for this process.
    pub(super) fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(THREADS_MAX);
        let mut carriers = Self { clock: Clock(Instant::now()), threads: Vec::new() };
        for number in 0..count {
            let mailbox = Arc::new(Mailbox {
                new: Mutex::default(),
                load: AtomicUsize::new(0),
                waiting: AtomicUsize::new(0),
                stop: AtomicBool::new(false),
                wake: EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            });
            let thread = Carrier::new(carriers.clock, Arc::clone(&mailbox))?;
            let name = format!("tftp-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || thread.run())?;
            carriers.threads.push((mailbox, Some(thread)));
        }
        Ok(carriers)
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// Gives a transfer to the thread that has the fewest.
    pub(super) fn carry(&self, carried: Carried) {
        let boxes = self.threads.iter().map(|(mailbox, _)| mailbox);
        if let Some(mailbox) = boxes.min_by_key(|mailbox| mailbox.load.load(Ordering::Relaxed)) {
            mailbox.load.fetch_add(1, Ordering::Relaxed);
            mailbox.put(carried);
        }
    }
}

impl Drop for Carriers {
    fn drop(&mut self) {
        for (mailbox, _) in &self.threads {
            mailbox.stop.store(true, Ordering::Release);
            mailbox.ring();
        }
        for thread in self.threads.iter_mut().filter_map(|(_, thread)| thread.take()) {
            if thread.join().is_err() {
                tracing::error!(target: LOG, "a thread that carries tftp transfers ended in a fault");
            }
        }
    }
}

impl Mailbox {
    fn put(&self, carried: Carried) {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.push(carried);
        self.waiting.store(new.len(), Ordering::Relaxed);
        drop(new);
        self.ring();
    }

    fn take(&self) -> Vec<Carried> {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.store(0, Ordering::Relaxed);
        std::mem::take(&mut *new)
    }

    /// Tells whether the thread has something else to do than to carry.
    fn calls(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.stop.load(Ordering::Relaxed)
    }

    fn ring(&self) {
        // It fails only where the bell has been rung 2^64 times and not been heard.
        if let Err(error) = self.wake.write(1) {
            tracing::error!(target: LOG, %error, "a tftp thread cannot be woken");
        }
    }
}

/// One thread.
struct Carrier {
    clock: Clock,
    mailbox: Arc<Mailbox>,
    poll: Epoll,
    transfers: HashMap<u64, (Carried, Option<u64>)>,
    deadlines: Deadlines,
    batch: Batch,
    number: u64,
}

impl Carrier {
    fn new(clock: Clock, mailbox: Arc<Mailbox>) -> io::Result<Self> {
        let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        poll.add(&mailbox.wake, EpollEvent::new(EpollFlags::EPOLLIN, MAIL))?;
        Ok(Self {
            clock,
            mailbox,
            poll,
            transfers: HashMap::new(),
            deadlines: Deadlines::default(),
            batch: Batch::default(),
            number: 0,
        })
    }

    fn run(mut self) {
        let mut events = [EpollEvent::empty(); EVENTS];
        while !self.mailbox.stop.load(Ordering::Acquire) {
            let count = self.poll.wait(&mut events, self.patience()).unwrap_or_else(|error| {
                // An interruption by a signal; everything else would be a fault in what this thread holds.
                tracing::debug!(target: LOG, %error, "a tftp thread waited in vain");
                0
            });
            for event in events.iter().take(count) {
                match event.data() {
                    MAIL => self.take_mail(),
                    number => self.receive(number),
                }
            }
            let now_ms = self.clock.now_ms();
            while let Some(number) = self.deadlines.pop(now_ms) {
                if let Some((_, entered)) = self.transfers.get_mut(&number) {
                    *entered = None;
                }
                self.step(number, |carried, batch| carried.wake(batch, now_ms));
            }
        }
    }

    fn patience(&self) -> EpollTimeout {
        let Some(due_ms) = self.deadlines.next_ms() else {
            return EpollTimeout::NONE;
        };
        // A longer wait than fits is cut, and the thread wakes once in vain.
        u16::try_from(due_ms.saturating_sub(self.clock.now_ms())).unwrap_or(u16::MAX).into()
    }

    /// Takes in a packet. The client of an only transfer is attended to until it falls silent: without the question
    /// who has sent something, a block costs two calls of the system instead of three.
    fn receive(&mut self, number: u64) {
        let clock = self.clock;
        self.step(number, |carried, batch| carried.receive(batch, clock));
        while self.transfers.len() == 1 && !self.mailbox.calls() && !self.deadlines.is_due(clock.now_ms()) {
            let mut heard = false;
            self.step(number, |carried, batch| {
                let (next, received) = carried.attend(batch, clock);
                heard = received;
                next
            });
            if !heard {
                break;
            }
        }
    }

    fn take_mail(&mut self) {
        let now_ms = self.clock.now_ms();
        if let Err(error) = self.mailbox.wake.read() {
            tracing::debug!(target: LOG, %error, "a tftp thread was woken in vain");
        }
        for carried in self.mailbox.take() {
            let number = self.number;
            self.number += 1;
            if let Err(error) = self.poll.add(&carried.socket, EpollEvent::new(EpollFlags::EPOLLIN, number)) {
                // Without events it goes on by its deadlines, slowly, and ends.
                tracing::warn!(target: LOG, %error, "a tftp transfer cannot be waited for");
            }
            self.transfers.insert(number, (carried, None));
            self.step(number, |carried, batch| carried.begin(batch, now_ms));
        }
    }

    /// Does one thing with a transfer. A fault in it, which can only be one of its content, ends this transfer alone.
    fn step(&mut self, number: u64, act: impl FnOnce(&mut Carried, &mut Batch) -> Next) {
        let Some((carried, entered)) = self.transfers.get_mut(&number) else {
            return;
        };
        let batch = &mut self.batch;
        let next = catch_unwind(AssertUnwindSafe(|| act(carried, batch))).unwrap_or_else(|_| {
            carried.fault();
            Next::Drop
        });
        match next {
            Next::Wait(due_ms) => self.deadlines.set(number, due_ms, entered),
            Next::Drop => {
                self.deadlines.clear(number, entered);
                self.transfers.remove(&number);
                self.mailbox.load.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

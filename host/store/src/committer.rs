//! The one thread that decides: it runs transactions one after the other, and while a group of them is being saved, it runs
//! those of the next.

use std::{
    io, mem,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    BackendError, Limits,
    group::{self, Answer, Group, Job},
    published::Published,
    reunion::Reunion,
    saver::{self, Saved, Saver, Saves},
};

/// What the committer is asked for.
pub(crate) enum Message {
    /// Run and commit a transaction.
    Write(Box<dyn Job>),
    /// Release the backend and stop.
    Close(oneshot::Sender<()>),
}

/// The owner of the latest state, which is ahead of what readers see by the group that is being saved.
struct Committer {
    published: Arc<Published>,
    queue: mpsc::Receiver<Message>,
    saves: Saves,
    limits: Limits,
    /// True while a group is being saved: never more than one.
    is_saving: bool,
    /// Why nothing can be saved any more.
    broken: Option<Arc<BackendError>>,
    end: End,
    reunion: Reunion,
}

/// Whether transactions are still taken.
enum End {
    Open,
    /// None any more; who waits for that.
    Closing(Option<oneshot::Sender<()>>),
}

/// What happens while the committer waits.
enum Event {
    Asked(Option<Message>),
    Saved(Option<Saved>),
    /// Those who may come back have had their time.
    Late,
}

/// Starts the thread that decides and the one that saves; they end when the store is closed or nobody holds it any more.
///
/// # Errors
///
/// The system gives no thread.
pub(crate) fn spawn(queue: mpsc::Receiver<Message>, saver: Saver, limits: Limits) -> io::Result<()> {
    let published = Arc::clone(&saver.published);
    let saves = saver.spawn()?;
    let committer = Committer {
        published,
        queue,
        saves,
        limits,
        is_saving: false,
        broken: None,
        end: End::Open,
        reunion: Reunion::default(),
    };
    thread::Builder::new().name(String::from("committer")).spawn(move || committer.run()).map(drop)
}

impl Committer {
    fn run(mut self) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut group = Group::new(&self.published);
        loop {
            let until = self.waits_until(&group);
            if !self.is_saving && until.is_none() {
                group = self.save(group);
            }
            if !self.is_saving && matches!(self.end, End::Closing(_)) {
                break;
            }
            group = match self.event(!group.is_full(&self.limits), until, &mut context) {
                Event::Asked(message) => self.take(group, message),
                Event::Saved(Some(saved)) => self.saved(group, saved),
                Event::Saved(None) => break,
                Event::Late => group,
            };
        }
        drop(group);
        self.saves.end();
        self.queue.close();
        while self.queue.try_recv().is_ok() {}
        if let End::Closing(Some(closed)) = self.end {
            // A caller who no longer waits needs no answer.
            let _ = closed.send(());
        }
    }

    /// Waits for the next event. The timers of an asynchronous runtime are coarser than a flush.
    fn event(&mut self, has_room: bool, until: Option<Instant>, context: &mut Context<'_>) -> Event {
        loop {
            if let Poll::Ready(saved) = self.saves.poll(context) {
                return Event::Saved(saved);
            }
            if has_room
                && matches!(self.end, End::Open)
                && let Poll::Ready(message) = self.queue.poll_recv(context)
            {
                return Event::Asked(message);
            }
            match until.map(|until| until.saturating_duration_since(saver::now())) {
                None => thread::park(),
                Some(Duration::ZERO) => return Event::Late,
                Some(rest) => thread::park_timeout(rest),
            }
        }
    }

    /// Returns until when a group waits for the writers who have just been answered; nothing when it does not, or when another
    /// is being saved anyway.
    fn waits_until(&self, group: &Group) -> Option<Instant> {
        let may_wait = !self.is_saving
            && !group.added.is_empty()
            && !group.is_full(&self.limits)
            && matches!(self.end, End::Open);
        may_wait.then(|| self.reunion.until(saver::now())).flatten()
    }

    fn take(&mut self, group: Group, message: Option<Message>) -> Group {
        match message {
            Some(Message::Write(job)) => {
                self.reunion.came();
                return group.run(job, self.broken.as_ref());
            }
            Some(Message::Close(closed)) => self.end = End::Closing(Some(closed)),
            None => self.end = End::Closing(None),
        }
        group
    }

    /// Hands a group over to be saved, and with it those who are in the queue already; returns the next group.
    fn save(&mut self, mut group: Group) -> Group {
        for _ in 0..self.queue.len() {
            if group.is_full(&self.limits) || matches!(self.end, End::Closing(_)) {
                break;
            }
            let Ok(message) = self.queue.try_recv() else { break };
            group = self.take(group, Some(message));
        }
        if group.added.is_empty() {
            // What they have read is durable.
            group::answer(mem::take(&mut group.answers), None);
            return group;
        }
        let next = group.following();
        self.is_saving = true;
        self.saves.save(group);
        next
    }

    /// Hears of the group that was being saved; returns the group to go on with.
    fn saved(&mut self, group: Group, saved: Saved) -> Group {
        self.is_saving = false;
        match saved {
            Saved::Durable { writers, took } => {
                self.reunion = Reunion::of(writers, took, saver::now());
                group
            }
            Saved::Failed(answers, error) => self.failed(answers, group.answers, error),
        }
    }

    /// Refuses a group that was not saved, and those that ran on top of it.
    fn failed(&mut self, unsaved: Vec<Answer>, above: Vec<Answer>, error: BackendError) -> Group {
        let is_broken = !matches!(error, BackendError::Refused(_));
        let error = Arc::new(error);
        tracing::error!(error = %Chain(&*error), store.read_only = is_broken, "a commit failed");
        self.broken = is_broken.then(|| Arc::clone(&error));
        for answers in [unsaved, above] {
            group::answer(answers, Some(&error));
        }
        Group::new(&self.published)
    }
}

/// Wakes the committer.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An error with all its causes in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

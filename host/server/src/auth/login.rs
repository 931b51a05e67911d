//! Checking passwords: not too often, not too many at once, and not twice what is known.

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    limit::Limiter,
    password::{Record, hash_password},
    token::TokenKey,
};

/// Passwords that were found right and are remembered; the oldest knowledge is dropped as a whole.
const REMEMBERED: usize = 4096;

/// Hashes that are worked out at once: each takes a processor and 8 MiB, or up to 64 MiB for an imported record.
const AT_ONCE: usize = 2;

/// How long a login waits for its turn.
const TURN: Duration = Duration::from_secs(30);

/// What came of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The password is right; `fresh` when it was not known before.
    Right {
        /// True when it was worked out now.
        fresh: bool,
    },
    /// The password is wrong, or there is no such user.
    Wrong,
    /// There were too many wrong ones lately; nothing was looked at.
    Limited,
    /// Too many logins are being checked.
    Busy,
}

/// An attempt to log in.
pub(super) struct Attempt<'a> {
    /// The name, which may be nobody's.
    pub(super) user: &'a str,
    /// Where it comes from.
    pub(super) address: IpAddr,
    /// Milliseconds since 1970.
    pub(super) now: i64,
    /// The stored record; empty when there is none.
    pub(super) record: String,
}

/// What logins share.
pub(crate) struct Logins {
    shared: Arc<Shared>,
    turns: Arc<Semaphore>,
    #[cfg(test)]
    pub(crate) hashes: std::sync::atomic::AtomicUsize,
}

/// What also those checks share whose clients went away.
#[derive(Default)]
struct Shared {
    right: Mutex<HashSet<String>>,
    limiter: Limiter,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            shared: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            #[cfg(test)]
            hashes: std::sync::atomic::AtomicUsize::new(0),
        }
    }
}

impl Logins {
    /// Checks a password. A right one is remembered, so that clients that send it with every request do not pay for the
    /// slow hash each time.
    ///
    /// The limit holds for remembered passwords too: else they could be guessed as fast as one can ask.
    pub(super) async fn check(&self, key: &TokenKey, password: &str, attempt: Attempt<'_>) -> Verdict {
        let Attempt { user, address, now, record } = attempt;
        let limited = || !self.shared.limiter.allows(address, user, now);
        if limited() {
            return Verdict::Limited;
        }
        let digest = key.digest(&[password, &record]);
        if self.shared.remembers(&digest) {
            return Verdict::Right { fresh: false };
        }
        let Some(turn) = self.turn().await else { return Verdict::Busy };
        // Others may have come first, with this password or with wrong ones.
        if limited() {
            return Verdict::Limited;
        }
        if self.shared.remembers(&digest) {
            return Verdict::Right { fresh: false };
        }
        #[cfg(test)]
        self.hashes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (password, user, shared) = (password.to_owned(), user.to_owned(), Arc::clone(&self.shared));
        // A client that goes away neither frees the turn of the hash that it asked for nor escapes the count.
        let matching = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let is_right = Record::parse(&record).matches(&password);
            if is_right {
                shared.remember(digest);
            } else {
                shared.limiter.note(address, &user, now);
            }
            is_right
        });
        if matching.await.unwrap_or(false) { Verdict::Right { fresh: true } } else { Verdict::Wrong }
    }

    /// Returns the record of a new password; nothing when it could not be made now.
    pub(crate) async fn hash(&self, password: String) -> Option<String> {
        let turn = self.turn().await?;
        let hash = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            hash_password(&password)
        });
        let hash = hash.await.ok()?;
        Some(hash).filter(|hash| !hash.is_empty())
    }

    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await.ok()?.ok()
    }
}

impl Shared {
    fn remembers(&self, digest: &str) -> bool {
        self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    fn remember(&self, digest: String) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= REMEMBERED {
            right.clear();
        }
        right.insert(digest);
    }
}

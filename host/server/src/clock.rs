//! The time: the real one, or an invented one for simulations.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use formwork_model::Timestamp;

/// Where an endpoint has its time from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Clock {
    /// The clock of this host.
    #[default]
    Real,
    /// A clock that stands still until it is told to go on, in milliseconds since 1970-01-01 00:00 UTC.
    Invented(Arc<AtomicI64>),
}

impl Clock {
    /// Makes an invented clock.
    pub(crate) fn invented(start: Timestamp) -> Self {
        Self::Invented(Arc::new(AtomicI64::new(start.millis())))
    }

    /// Returns the time.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Real => now(),
            Self::Invented(millis) => Timestamp::from_millis(millis.load(Ordering::Relaxed)),
        }
    }

    /// Sets an invented clock forward; it never goes back. The real one goes by itself.
    pub(crate) fn advance_to(&self, time: Timestamp) {
        if let Self::Invented(millis) = self {
            millis.fetch_max(time.millis(), Ordering::Relaxed);
        }
    }
}

/// Returns the time of this host. The one real clock of the daemon: everything below takes the time as an argument.
#[expect(clippy::disallowed_methods, reason = "the one real clock")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_time_goes_forward_only_when_told() {
        let clock = Clock::invented(Timestamp::from_millis(1000));
        clock.advance_to(Timestamp::from_millis(5000));
        clock.advance_to(Timestamp::from_millis(2000));
        assert_eq!(clock.now(), Timestamp::from_millis(5000));
    }
}

//! How many wrong passwords are taken: ten a minute for a user from one address, and a hundred from one address for all
//! users.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    hash::RandomState,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

/// Wrong passwords of one user from one address in a window.
const OF_USER: u32 = 10;

/// Wrong passwords from one address in a window: whoever tries one password with many names.
const OF_ADDRESS: u32 = 100;

/// How long wrong passwords count, in milliseconds.
const WINDOW_MILLIS: i64 = 60_000;

/// The windows that are kept; beyond it those that ended are dropped, and all of them when none has ended. One address can
/// open [`OF_ADDRESS`] a minute.
const MAX_WINDOWS: usize = 16_384;

/// Where an attempt comes from, and whom it is for; nobody in particular where the address is counted as a whole.
type Origin = (IpAddr, Option<u64>);

/// Counts wrong passwords.
#[derive(Default)]
pub(super) struct Limiter {
    names: RandomState,
    windows: Mutex<HashMap<Origin, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    start_millis: i64,
    wrong: u32,
}

impl Limiter {
    /// Tells whether a password may be tried at a time, in milliseconds since 1970.
    pub(super) fn allows(&self, address: IpAddr, user: &str, now: i64) -> bool {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let below = |(origin, limit): (Origin, u32)| {
            windows.get(&origin).is_none_or(|window| window.has_ended(now) || window.wrong < limit)
        };
        self.origins(address, user).into_iter().all(below)
    }

    /// Notes a wrong password.
    pub(super) fn note(&self, address: IpAddr, user: &str, now: i64) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MAX_WINDOWS {
            windows.retain(|_, window| !window.has_ended(now));
            if windows.len() >= MAX_WINDOWS {
                windows.clear();
            }
        }
        for (origin, _) in self.origins(address, user) {
            let window = windows.entry(origin).or_insert(Window { start_millis: now, wrong: 0 });
            if window.has_ended(now) {
                *window = Window { start_millis: now, wrong: 0 };
            }
            window.wrong = window.wrong.saturating_add(1);
        }
    }

    fn origins(&self, address: IpAddr, user: &str) -> [(Origin, u32); 2] {
        let network = network(address);
        [((network, Some(self.names.hash_one(user))), OF_USER), ((network, None), OF_ADDRESS)]
    }
}

impl Window {
    /// A clock that was set back ends a window as well: nobody is locked out for longer than one.
    fn has_ended(&self, now: i64) -> bool {
        !(0..WINDOW_MILLIS).contains(&now.saturating_sub(self.start_millis))
    }
}

/// Returns what stands for a host: its address, or its network of 64 bits in IPv6, all of whose addresses one host can have.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64))),
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn ten_wrong_passwords_end_the_attempts_of_that_user_from_there_until_the_minute_is_over() {
        let limiter = Limiter::default();
        for second in 0..10 {
            assert!(limiter.allows(ONE, "ann", second * 1000));
            limiter.note(ONE, "ann", second * 1000);
        }
        assert!(!limiter.allows(ONE, "ann", 59_999));
        assert!(limiter.allows(ONE, "bob", 59_999) && limiter.allows(TWO, "ann", 59_999));
        assert!(limiter.allows(ONE, "ann", 60_000));
        limiter.note(ONE, "ann", 60_000);
        assert!(limiter.allows(ONE, "ann", 60_001), "a new window begins with none");
    }

    #[test]
    fn hundred_wrong_passwords_for_many_names_end_the_attempts_from_there() {
        let limiter = Limiter::default();
        for user in 0..100 {
            assert!(limiter.allows(ONE, &user.to_string(), 0));
            limiter.note(ONE, &user.to_string(), 0);
        }
        assert!(!limiter.allows(ONE, "ann", 1) && limiter.allows(TWO, "ann", 1));
    }

    #[test]
    fn addresses_of_one_host_count_together() {
        let limiter = Limiter::default();
        for host in 0..10 {
            limiter.note(format!("2001:db8::{host:x}").parse().unwrap(), "ann", 0);
            limiter.note(format!("::ffff:192.0.2.{host}").parse().unwrap(), "ann", 0);
        }
        assert!(!limiter.allows("2001:db8::ffff".parse().unwrap(), "ann", 1));
        assert!(limiter.allows("2001:db8:0:1::".parse().unwrap(), "ann", 1) && limiter.allows(ONE, "ann", 1));
    }

    #[test]
    fn counts_stay_bounded() {
        let limiter = Limiter::default();
        for number in 0..100_000_u32 {
            limiter.note(IpAddr::V4(number.into()), "ann", 0);
        }
        assert!(limiter.windows.lock().unwrap().len() <= MAX_WINDOWS + 2);
    }
}

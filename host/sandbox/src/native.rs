//! Ready-made answers for hosts that do things for real: files, web services, programs, a store, the time and random bytes.
//!
//! Grants and sizes are checked before a call comes here. What is left to see to is that no link, no name server and no
//! program leads around them.

mod exec;
mod files;
mod http;
mod kv;

pub use exec::exec;
pub use files::Files;
pub use http::Http;
pub use kv::Kv;

use crate::{Blob, HostAnswer, HostError, RandomCall};

/// Returns the time of day in milliseconds since 1970-01-01 00:00 UTC: the answer to [`HostCall::Clock`].
///
/// [`HostCall::Clock`]: crate::HostCall::Clock
#[expect(clippy::disallowed_methods, reason = "this is the real clock, for hosts that have no invented one")]
pub fn now() -> HostAnswer {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    HostAnswer::Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Returns random bytes of the operating system's generator.
///
/// # Errors
///
/// Fails when there is no such generator, as in a container without it.
pub fn random(call: RandomCall) -> Result<HostAnswer, HostError> {
    let mut bytes = vec![0; call.count as usize];
    getrandom::fill(&mut bytes)
        .map_err(|error| HostError::Unavailable(format!("there are no random bytes: {error}")))?;
    Ok(HostAnswer::Bytes(Blob(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_this_century_and_random_bytes_differ() {
        assert!(matches!(now(), HostAnswer::Time(time) if time > 1_700_000_000_000));
        let call = RandomCall { count: 32 };
        let (one, other) = (random(call).unwrap(), random(call).unwrap());
        assert!(matches!(&one, HostAnswer::Bytes(bytes) if bytes.0.len() == 32));
        assert_ne!(one, other);
    }
}

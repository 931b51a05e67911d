//! How far the work has come, for the people who watch.

use std::fmt::Display;

use crate::host;

/// Reports how far the work has come, 0 to 100, and what it is at.
pub fn report(percent: u8, message: impl Display) {
    host::progress::report(Some(percent), &message.to_string());
}

/// Reports what the work is at when nobody knows how much there is.
pub fn busy(message: impl Display) {
    host::progress::report(None, &message.to_string());
}

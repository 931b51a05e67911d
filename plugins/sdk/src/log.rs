//! Lines for the job log.

use std::fmt::Display;
use std::panic;

use crate::bindings::capabilities::formwork::log::log::{Level, write};

/// Writes a line for the author of the component.
pub fn debug(message: impl Display) {
    write(Level::Debug, &message.to_string());
}

/// Writes what happened, for the operator.
pub fn info(message: impl Display) {
    write(Level::Info, &message.to_string());
}

/// Writes something odd that did not stop the work.
pub fn warn(message: impl Display) {
    write(Level::Warn, &message.to_string());
}

/// Writes something that stopped the work.
pub fn error(message: impl Display) {
    write(Level::Error, &message.to_string());
}

/// Sends the words of a panic to the host before the component traps; without it they would be lost.
pub(crate) fn send_panics() {
    panic::set_hook(Box::new(|info| write(Level::Panic, &info.to_string())));
}

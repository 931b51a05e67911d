//! Takes the lines of the `log` facade to the host, those of libraries as well.

use std::fmt::{self, Write};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::bindings::capabilities::formwork::log::log::Level as HostLevel;
use crate::host;

/// Most bytes of one message. The host stops a component that writes more than 1 MiB in one call, unless its manifest
/// says otherwise, so a single message must not come near that.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// The one logger of a component.
static LOGGER: ToHost = ToHost;

/// Prepares a call: lines of the log, and the words of a panic, reach the host. Doing it twice is harmless.
pub(crate) fn begin() {
    // Set once, so that a component that wants less can lower the level.
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
    // Without it the words would be lost in the trap. A native test has its own hook.
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|info| send(HostLevel::Panic, format_args!("{info}"))));
}

struct ToHost;

impl Log for ToHost {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => HostLevel::Error,
            Level::Warn => HostLevel::Warn,
            Level::Info => HostLevel::Info,
            Level::Debug | Level::Trace => HostLevel::Debug,
        };
        send(level, *record.args());
    }

    fn flush(&self) {}
}

/// Sends one message, whole line breaks and all; of one that is too long the beginning, and how much was left out.
fn send(level: HostLevel, words: fmt::Arguments<'_>) {
    match words.as_str() {
        Some(text) if text.len() <= MAX_MESSAGE_BYTES => host::log::write(level, text),
        _ => host::log::write(level, &Bounded::of(words)),
    }
}

/// A text of which only the beginning is kept, so that a huge one takes no memory either.
#[derive(Default)]
struct Bounded {
    text: String,
    left_out: usize,
}

impl Bounded {
    fn of(words: fmt::Arguments<'_>) -> String {
        let mut bounded = Self::default();
        // What implements `Display` badly has at least its first words told.
        bounded.write_fmt(words).ok();
        let Self { mut text, left_out } = bounded;
        if left_out > 0 {
            text.push_str(" ... and ");
            text.push_str(&left_out.to_string());
            text.push_str(" bytes more");
        }
        text
    }
}

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = if self.left_out > 0 { 0 } else { MAX_MESSAGE_BYTES - self.text.len() };
        let end = more.floor_char_boundary(room);
        self.text.push_str(more.get(..end).unwrap_or_default());
        self.left_out += more.len() - end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn every_level_reaches_the_host_and_trace_as_debug() {
        let host = Host::new();
        host.enter(|| {
            log::error!("one");
            log::warn!("two {}", 2);
            log::info!("three\nlines\n");
            log::debug!("four");
            log::trace!("five");
        });
        let expected = [
            (Level::Error, "one"),
            (Level::Warn, "two 2"),
            (Level::Info, "three\nlines\n"),
            (Level::Debug, "four"),
            (Level::Debug, "five"),
        ];
        assert_eq!(host.lines(), expected.map(|(level, words)| (level, words.to_owned())));
        // Outside of a call nobody listens, and nothing happens.
        log::info!("six");
        assert_eq!(host.lines().len(), 5);
    }

    #[test]
    fn long_message_is_cut_between_characters_and_says_so() {
        let host = Host::new();
        let long = format!("{}{}", "x".repeat(MAX_MESSAGE_BYTES - 1), "\u{e4}".repeat(100));
        host.enter(|| {
            log::info!("{long}{}", "end");
            log::info!("{}", &long[..MAX_MESSAGE_BYTES - 1]);
        });
        let lines: Vec<_> = host.lines().into_iter().map(|(_, words)| words).collect();
        assert_eq!(lines[0], format!("{} ... and 203 bytes more", &long[..MAX_MESSAGE_BYTES - 1]));
        assert_eq!(lines[1], long[..MAX_MESSAGE_BYTES - 1]);
    }
}

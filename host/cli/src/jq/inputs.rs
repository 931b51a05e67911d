//! What a filter reads: values, lines or whole texts, one after the other as they come.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::PathBuf,
};

use jaq_json::{Val, read};

use super::options::Options;

/// The deepest nesting that is read. The reader calls itself for each level.
const MAX_DEPTH: usize = 10_000;

/// The longest value that is read, in bytes: as much as the largest answer of an endpoint.
const MAX_VALUE: usize = 1 << 30;

/// The inputs of a filter, in order.
pub(super) struct Inputs<'a> {
    sources: VecDeque<Source<'a>>,
    open: Option<Box<dyn Iterator<Item = Result<Val, String>> + 'a>>,
    raw: bool,
    /// All inputs are to be one, which was not handed out yet.
    slurp: bool,
}

enum Source<'a> {
    Given(Box<dyn Read + 'a>),
    File(PathBuf),
}

impl<'a> Inputs<'a> {
    /// Reads files one after the other, or what is given when there are none.
    pub(super) fn open(options: &Options, given: Box<dyn Read + 'a>) -> Self {
        let files = options.files.iter().cloned().map(Source::File);
        let sources = match options.files.is_empty() {
            true => VecDeque::from([Source::Given(given)]),
            false => files.collect(),
        };
        Self { sources, open: None, raw: options.raw_input, slurp: options.slurp }
    }

    fn each(&mut self) -> Option<Result<Val, String>> {
        loop {
            if let Some(next) = self.open.as_mut().and_then(Iterator::next) {
                if next.is_err() {
                    // What follows cannot be told apart.
                    (self.open, self.sources) = (None, VecDeque::new());
                }
                return Some(next);
            }
            match self.source()? {
                Ok(source) if self.raw => self.open = Some(Box::new(lines(source))),
                Ok(source) => self.open = Some(Box::new(values(source))),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn source(&mut self) -> Option<Result<Box<dyn Read + 'a>, String>> {
        Some(match self.sources.pop_front()? {
            Source::Given(given) => Ok(given),
            Source::File(path) => match File::open(&path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => Err(format!("failed to read `{}`: {error}", path.display())),
            },
        })
    }

    fn all(&mut self) -> Result<Val, String> {
        if !self.raw {
            return std::iter::from_fn(|| self.each())
                .collect::<Result<Vec<Val>, String>>()
                .map(Val::from_iter);
        }
        let mut text = Vec::new();
        while let Some(source) = self.source() {
            let room = (MAX_VALUE + 1).saturating_sub(text.len()) as u64;
            source?.take(room).read_to_end(&mut text).map_err(|error| error.to_string())?;
        }
        if text.len() > MAX_VALUE { Err(too_long()) } else { Ok(Val::utf8_str(text)) }
    }
}

impl Iterator for Inputs<'_> {
    type Item = Result<Val, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::take(&mut self.slurp) { Some(self.all()) } else { self.each() }
    }
}

/// Reads JSON values.
pub(super) fn values<'a>(from: impl Read + 'a) -> impl Iterator<Item = Result<Val, String>> + 'a {
    let guarded = BufReader::new(Guarded { from, guard: Guard::default() });
    read::read_many(guarded).map(|read| read.map_err(|error| error.to_string()))
}

/// Tells why a text would be nested too deep.
pub(super) fn is_shallow(text: &[u8]) -> Result<(), String> {
    Guard::default().look(text).map_err(|error| error.to_string())
}

fn lines<'a>(from: impl Read + 'a) -> impl Iterator<Item = Result<Val, String>> + 'a {
    let mut reader = BufReader::new(from);
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match (&mut reader).take(MAX_VALUE as u64 + 1).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(length) if length > MAX_VALUE => Some(Err(too_long())),
            Ok(_) => {
                if line.ends_with(b"\n") {
                    line.pop();
                }
                Some(Ok(Val::utf8_str(line)))
            }
            Err(error) => Some(Err(error.to_string())),
        }
    })
}

fn too_long() -> String {
    format!("an input is longer than {MAX_VALUE} bytes")
}

/// Looks at JSON on its way to the reader, which has no bounds of its own.
struct Guarded<R> {
    from: R,
    guard: Guard,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.guard.look(buffer.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}

/// How deep and how long the value is that is being read.
#[derive(Default)]
struct Guard {
    depth: usize,
    length: usize,
    in_text: bool,
    escaped: bool,
}

impl Guard {
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            self.length += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                b'[' | b'{' if !self.in_text => self.depth += 1,
                b']' | b'}' if !self.in_text => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth == 0 && !self.in_text && (byte.is_ascii_whitespace() || matches!(byte, b']' | b'}'))
            {
                self.length = 0;
            }
            if self.depth > MAX_DEPTH {
                let words = format!("an input is nested deeper than {MAX_DEPTH} levels");
                return Err(io::Error::new(io::ErrorKind::InvalidData, words));
            }
            if self.length > MAX_VALUE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, too_long()));
            }
        }
        Ok(())
    }
}

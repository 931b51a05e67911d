//! `formwork jq`, and the program under a name that ends in `jq`: the filter that scripts of the ecosystem put behind the
//! command line (drp-behaviour.md 10.3).
//!
//! The language is the one of the crate `jaq`; flags and exit codes are those of the program jq. Nothing here reads the
//! settings of an endpoint: the filter comes before the grammar of the other verbs, whose flags have the same letters.

mod filter;
mod inputs;
mod options;

#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    io::{self, BufWriter, IsTerminal as _, Read, Write},
    path::Path,
    process::ExitCode,
    thread,
};

use jaq_json::{
    Val,
    write::{Pp, Styles},
};

use self::{
    filter::{Ended, Filter},
    inputs::Inputs,
    options::{Asked, Options},
};

/// The first word of such a call.
const NAME: &str = "jq";

/// The stack of the thread that filters, in bytes. Values are read, written and dropped by recursion; what is not used of
/// it costs nothing.
const STACK: usize = 512 << 20;

/// The exit code for arguments and input that make no sense.
const NO_SENSE: u8 = 2;

/// The exit code for a filter that is none.
const NO_FILTER: u8 = 3;

/// The exit code of a filter that failed on an input.
const FAILED: u8 = 5;

/// The exit codes of `-e`: the last output was null or false, and there was none.
const FALSE: u8 = 1;
const NOTHING: u8 = 4;

/// The call made no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JqError {
    /// The arguments.
    #[error("{0}\nhint: `formwork jq --help` tells the flags")]
    Usage(String),
    /// The filter.
    #[error("the filter is wrong: {0}")]
    Filter(String),
}

impl JqError {
    /// Returns the exit code, as the program jq has it.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => NO_SENSE,
            Self::Filter(_) => NO_FILTER,
        }
    }
}

/// Where a filter reads and writes.
pub(crate) struct Pipes<'a> {
    /// What is read when no file is named.
    pub(crate) input: Box<dyn Read + 'a>,
    /// Results.
    pub(crate) output: &'a mut dyn Write,
    /// Words about what went wrong.
    pub(crate) words: &'a mut dyn Write,
    /// True when results are for eyes.
    pub(crate) is_terminal: bool,
}

/// Returns the arguments of the filter when a command line is one: the first word is `jq`, or the program's name ends so.
pub(crate) fn arguments(line: &[OsString]) -> Option<&[OsString]> {
    let (program, words) = line.split_first()?;
    let name = Path::new(program).file_stem().unwrap_or_default();
    if name.to_string_lossy().ends_with(NAME) {
        return Some(words);
    }
    words.split_first().filter(|(first, _)| *first == NAME).map(|(_, rest)| rest)
}

/// Filters as a program of its own.
pub(crate) fn program(words: &[OsString]) -> ExitCode {
    match on_stack(words, &mut BufWriter::new(io::stdout())) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            // Nobody is left to tell when standard error is closed.
            io::stderr().write_all(format!("Error: {error}\n").as_bytes()).ok();
            ExitCode::from(error.code())
        }
        Err(error) => crate::failure::report(&error.into()),
    }
}

/// Filters standard input or files, on a thread with a stack that is large enough.
pub(crate) fn on_stack(
    words: &[OsString],
    output: &mut (dyn Write + Send),
) -> io::Result<Result<u8, JqError>> {
    thread::scope(|scope| {
        let work = || {
            let pipes = Pipes {
                input: Box::new(io::stdin()),
                output,
                words: &mut io::stderr(),
                is_terminal: io::stdout().is_terminal(),
            };
            run(words, pipes)
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)?;
        thread.join().map_err(|_| io::Error::other("the filter broke"))?
    })
}

/// Filters; returns the exit code.
pub(crate) fn run(words: &[OsString], pipes: Pipes<'_>) -> io::Result<Result<u8, JqError>> {
    let asked = match options::parse(words) {
        Ok(asked) => asked,
        Err(error) => return Ok(Err(error)),
    };
    let options = match asked {
        Asked::Help => return pipes.output.write_all(options::HELP.as_bytes()).map(|()| Ok(0)),
        Asked::Version => {
            let text = format!("jq of formwork {}\n", env!("CARGO_PKG_VERSION"));
            return pipes.output.write_all(text.as_bytes()).map(|()| Ok(0));
        }
        Asked::Filter(options) => *options,
    };
    match Filter::compile(&options) {
        Ok(filter) => work(&options, &filter, pipes).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

fn work(options: &Options, filter: &Filter, pipes: Pipes<'_>) -> io::Result<u8> {
    let printer = printer(options, pipes.is_terminal);
    let inputs = Inputs::open(options, pipes.input);
    let (mut code, mut last) = (0, None);
    let ended = filter.run(inputs, options.null_input, |result| match result {
        Ok(value) => {
            write(options, &printer, &value, pipes.output)?;
            last = Some(!matches!(value, Val::Null | Val::Bool(false)));
            Ok(())
        }
        Err(words) => {
            code = FAILED;
            pipes.output.flush()?;
            writeln!(pipes.words, "jq: error: {words}")
        }
    })?;
    pipes.output.flush()?;
    match ended {
        Ended::Halted(code) => return Ok(code),
        Ended::Unread(words) => {
            writeln!(pipes.words, "jq: error: {words}")?;
            return Ok(NO_SENSE);
        }
        Ended::Done => {}
    }
    Ok(match last {
        _ if code != 0 || !options.exit_status => code,
        None => NOTHING,
        Some(false) => FALSE,
        Some(true) => 0,
    })
}

/// Says how values are written.
fn printer(options: &Options, is_terminal: bool) -> Pp {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let styles = match options.color.unwrap_or(is_terminal && !plain) {
        true => Styles::ansi().parse(&std::env::var("JQ_COLORS").unwrap_or_default()),
        false => Styles::default(),
    };
    Pp {
        indent: options.indent.clone(),
        sort_keys: options.sort_keys,
        sep_space: options.indent.is_some(),
        styles,
    }
}

/// Writes one result.
fn write(options: &Options, printer: &Pp, value: &Val, output: &mut dyn Write) -> io::Result<()> {
    if options.sequence {
        output.write_all(b"\x1e")?;
    }
    match value {
        Val::TStr(text) if options.raw && !options.ascii => output.write_all(text)?,
        _ if options.ascii => {
            let mut bytes = Vec::new();
            jaq_json::write::write(&mut bytes, printer, 0, value)?;
            output.write_all(ascii(&String::from_utf8_lossy(&bytes)).as_bytes())?;
        }
        _ => jaq_json::write::write(output, printer, 0, value)?,
    }
    output.write_all(options.end)?;
    // Whoever follows events sees each as it comes.
    output.flush()
}

/// Writes what is not ASCII as escapes of JSON, by UTF-16 code units; it stands in texts only.
fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            plain.push(character);
        } else {
            let units = &mut [0; 2];
            for unit in character.encode_utf16(units) {
                plain.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    plain
}

//! An interpreter of iPXE's scripts, as far as boot scripts use the language.
//!
//! It fetches nothing: [`Interpreter::step`] returns what has to be done next, and [`Interpreter::resume`] takes how
//! that went. Scripts come from the network, so everything is bounded: lines, steps, nesting, images, texts.
//!
//! The rules are iPXE's: a word is expanded after the line was split, so a value with spaces stays one word; `&&` and
//! `||` go from left to right by the last outcome, and an empty command succeeds, which is why `chain X ||` cannot
//! fail; a script ends with its first failure; a script that was chained and ends well goes on behind its `chain`.
//! A command that is not known here is an error even before `||`: a simulation must not guess what it means.

mod commands;
mod parse;
mod variables;

use std::{collections::VecDeque, time::Duration};

use reqwest::Url;
use serde::Serialize;

use commands::Flow;
use parse::{Condition, Line, Segment};
pub(crate) use variables::Variables;

/// How many commands run in one boot. A menu that nobody answers ends here.
const MAX_STEPS: usize = 20_000;

/// How many scripts may wait for the end of another one.
const MAX_DEPTH: usize = 16;

/// How many scripts are loaded in one boot.
const MAX_SCRIPTS: usize = 64;

/// How many images a boot has.
const MAX_IMAGES: usize = 64;

/// A script cannot be run to its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ScriptError {
    /// The content is no script.
    #[error("`{url}` is no iPXE script: it does not begin with `#!ipxe`")]
    NotAScript {
        /// Where it came from.
        url: String,
    },
    /// A command that the simulation does not have.
    #[error("`{url}` line {line}: the command `{command}` is not known")]
    UnknownCommand {
        /// The script.
        url: String,
        /// The line, from 1.
        line: usize,
        /// The command.
        command: String,
    },
    /// A command failed and the line has no alternative.
    #[error("`{url}` line {line}: {reason}")]
    Failed {
        /// The script.
        url: String,
        /// The line, from 1.
        line: usize,
        /// What failed, and why.
        reason: String,
    },
    /// The script does too much.
    #[error("`{url}` line {line}: more than {limit}")]
    Limit {
        /// The script.
        url: String,
        /// The line, from 1.
        line: usize,
        /// The limit.
        limit: String,
    },
}

/// What has to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Show a text, and go on.
    Echo(String),
    /// Wait, and go on.
    Sleep(Duration),
    /// Ask DHCP again, then resume with [`Answer::Network`].
    Dhcp,
    /// Load a script, then resume with [`Answer::Script`].
    Script(Url),
    /// Load a kernel or an initial RAM disk, then resume with [`Answer::Image`].
    Image(Url),
    /// Start the kernel: the end.
    Boot(Boot),
    /// Leave iPXE: the end.
    Exit,
}

/// What was done.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The settings of the network, which replace the former.
    Network(Vec<(&'static str, String)>),
    /// The bytes of a script.
    Script(Vec<u8>),
    /// The length of an image, in bytes.
    Image(u64),
}

/// A loaded image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Image {
    /// Where it came from.
    pub(crate) url: String,
    /// Its name in scripts, by default the last part of its URL.
    pub(crate) name: String,
    /// Its length.
    pub(crate) bytes: u64,
    #[serde(skip)]
    arguments: Vec<String>,
}

/// A kernel with all that it is started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Boot {
    /// The kernel.
    pub(crate) kernel: Image,
    /// The initial RAM disks, in their order.
    pub(crate) initrds: Vec<Image>,
    /// The arguments of the kernel, without its own name.
    pub(crate) command_line: String,
}

/// A running script and those that wait for it.
#[derive(Debug)]
pub(crate) struct Interpreter {
    variables: Variables,
    frames: Vec<Frame>,
    /// What is under way outside.
    waiting: Option<Waiting>,
    kernel: Option<Image>,
    initrds: Vec<Image>,
    steps: usize,
    scripts: usize,
}

/// One script with its place.
#[derive(Debug)]
struct Frame {
    url: Url,
    lines: Vec<Line>,
    /// The index of the line that comes next.
    next: usize,
    /// What is left of the present line.
    pending: VecDeque<Segment>,
    /// How the last command ended.
    outcome: Result<(), String>,
}

/// What an answer is for.
#[derive(Debug)]
enum Waiting {
    Dhcp,
    Chain { url: Url, replace: bool },
    Kernel(Image),
    Initrd(Image),
}

impl Interpreter {
    /// Starts a script that came from `url`.
    ///
    /// # Errors
    ///
    /// The text is no script.
    pub(crate) fn new(url: Url, text: &[u8], variables: Variables) -> Result<Self, ScriptError> {
        let frame = Frame::new(url, text)?;
        Ok(Self {
            variables,
            frames: vec![frame],
            waiting: None,
            kernel: None,
            initrds: Vec::new(),
            steps: 0,
            scripts: 1,
        })
    }

    /// Runs to the next thing that has to be done outside. What needs an answer is returned again until it has one.
    ///
    /// # Errors
    ///
    /// The outermost script failed, it has an unknown command, or it does too much.
    pub(crate) fn step(&mut self) -> Result<Step, ScriptError> {
        if let Some(waiting) = &self.waiting {
            return waiting.step().map_err(|reason| self.failed(reason));
        }
        loop {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(self.limit(format!("{MAX_STEPS} commands")));
            }
            let Some(frame) = self.frames.last_mut() else {
                return Ok(Step::Exit);
            };
            let Some(segment) = frame.pending.pop_front() else {
                self.next_line()?;
                continue;
            };
            if !segment.condition.holds(frame.outcome.is_ok()) {
                continue;
            }
            match self.execute(&segment.words)? {
                Flow::Done(outcome) => self.set_outcome(outcome),
                Flow::Step(step) => {
                    self.set_outcome(Ok(()));
                    return Ok(step);
                }
                Flow::Wait(waiting) => {
                    let step = waiting.step().map_err(|reason| self.failed(reason))?;
                    self.waiting = Some(waiting);
                    return Ok(step);
                }
                Flow::Exit(outcome) => self.leave(outcome),
            }
        }
    }

    /// Takes how the last step went. An answer that was not asked for counts as a failure of the command.
    pub(crate) fn resume(&mut self, answer: anyhow::Result<Answer>) {
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        let outcome = match (waiting, answer) {
            (_, Err(error)) => Err(format!("{error:#}")),
            (Waiting::Dhcp, Ok(Answer::Network(facts))) => {
                self.variables.set_facts(facts);
                Ok(())
            }
            (Waiting::Chain { url, replace }, Ok(Answer::Script(text))) => {
                return self.enter(url, &text, replace);
            }
            (Waiting::Kernel(image), Ok(Answer::Image(bytes))) => {
                self.kernel = Some(Image { bytes, ..image });
                Ok(())
            }
            (Waiting::Initrd(image), Ok(Answer::Image(bytes))) => {
                self.initrds.push(Image { bytes, ..image });
                Ok(())
            }
            (waiting, Ok(_)) => Err(format!("{waiting:?} got the answer to another question")),
        };
        self.set_outcome(outcome);
    }

    fn enter(&mut self, url: Url, text: &[u8], replace: bool) {
        match Frame::new(url, text) {
            Ok(frame) => {
                if replace {
                    self.frames.pop();
                }
                self.frames.push(frame);
            }
            Err(error) => self.set_outcome(Err(error.to_string())),
        }
    }

    fn set_outcome(&mut self, outcome: Result<(), String>) {
        if let Some(frame) = self.frames.last_mut() {
            frame.outcome = outcome;
        }
    }

    /// Goes to the next line, or to the script that waits for the end of this one.
    fn next_line(&mut self) -> Result<(), ScriptError> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        if let Err(reason) = std::mem::replace(&mut frame.outcome, Ok(())) {
            let error = self.failed(reason);
            if self.frames.len() == 1 {
                return Err(error);
            }
            self.leave(Err(error.to_string()));
            return Ok(());
        }
        match frame.lines.get(frame.next) {
            Some(line) => {
                frame.pending = line.segments.clone().into();
                frame.next += 1;
            }
            None => self.leave(Ok(())),
        }
        Ok(())
    }

    fn leave(&mut self, outcome: Result<(), String>) {
        self.frames.pop();
        self.set_outcome(outcome);
    }

    /// Returns the present script and line.
    fn place(&self) -> (String, usize) {
        let Some(frame) = self.frames.last() else {
            return (String::new(), 0);
        };
        let line = frame.next.checked_sub(1).and_then(|index| frame.lines.get(index));
        (frame.url.to_string(), line.map_or(0, |line| line.number))
    }

    fn failed(&self, reason: String) -> ScriptError {
        let (url, line) = self.place();
        ScriptError::Failed { url, line, reason }
    }

    fn limit(&self, limit: String) -> ScriptError {
        let (url, line) = self.place();
        ScriptError::Limit { url, line, limit }
    }
}

impl Frame {
    fn new(url: Url, text: &[u8]) -> Result<Self, ScriptError> {
        match parse::lines(text) {
            Some(lines) => Ok(Self { url, lines, next: 0, pending: VecDeque::new(), outcome: Ok(()) }),
            None => Err(ScriptError::NotAScript { url: url.to_string() }),
        }
    }
}

impl Waiting {
    fn step(&self) -> Result<Step, String> {
        Ok(match self {
            Self::Dhcp => Step::Dhcp,
            Self::Chain { url, .. } => Step::Script(url.clone()),
            Self::Kernel(image) | Self::Initrd(image) => {
                Step::Image(Url::parse(&image.url).map_err(|error| error.to_string())?)
            }
        })
    }
}

impl Condition {
    fn holds(self, success: bool) -> bool {
        match self {
            Self::Always => true,
            Self::OnSuccess => success,
            Self::OnFailure => !success,
        }
    }
}

#[cfg(test)]
mod tests;

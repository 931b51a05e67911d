//! The commands of the language, a method each.

use std::time::Duration;

use reqwest::Url;

use super::{Boot, Image, Interpreter, MAX_DEPTH, MAX_IMAGES, MAX_SCRIPTS, ScriptError, Step, Waiting};

/// The longest wait of a `sleep`, in seconds.
const MAX_SLEEP: u64 = 600;

/// What a command leads to.
#[derive(Debug)]
pub(super) enum Flow {
    /// The next command.
    Done(Result<(), String>),
    /// Something to be done outside that needs no answer.
    Step(Step),
    /// Something to be done outside that needs one.
    Wait(Waiting),
    /// The end of this script.
    Exit(Result<(), String>),
}

/// The options of a command that loads something, and the rest.
#[derive(Debug, Default)]
struct Options<'a> {
    name: Option<&'a str>,
    replace: bool,
    rest: &'a [String],
}

impl Interpreter {
    /// Runs one command.
    pub(super) fn execute(&mut self, words: &[String]) -> Result<Flow, ScriptError> {
        let words = words.iter().map(|word| self.variables.expand(word)).collect::<Result<Vec<_>, _>>();
        let words = words.map_err(|reason| self.failed(reason))?;
        let Some((command, arguments)) = words.split_first() else {
            return Ok(Flow::Done(Ok(())));
        };
        let flow = match command.as_str() {
            "set" => self.set(arguments).map(|()| Flow::Done(Ok(()))),
            "clear" => self.set(arguments.get(..1).unwrap_or_default()).map(|()| Flow::Done(Ok(()))),
            "echo" => Ok(Flow::Step(Step::Echo(without_flags(arguments).join(" ")))),
            "isset" => Ok(Flow::Done(holds("isset", arguments.iter().any(|word| !word.is_empty())))),
            "iseq" => equal(arguments),
            "goto" => self.goto(arguments),
            "exit" => Ok(exit(arguments)),
            "sleep" => sleep(arguments),
            // The one card of the machine is always up.
            "ifopen" => Ok(Flow::Done(Ok(()))),
            "dhcp" | "autoconf" | "ifconf" => Ok(Flow::Wait(Waiting::Dhcp)),
            "chain" | "imgexec" => return self.chain(arguments),
            "kernel" => self.kernel(arguments),
            "initrd" | "module" | "imgfetch" => return self.initrd(arguments),
            "imgargs" => self.image_arguments(arguments),
            "imgfree" => self.free(arguments),
            "boot" => self.boot(arguments),
            _ => {
                let (url, line) = self.place();
                return Err(ScriptError::UnknownCommand { url, line, command: command.clone() });
            }
        };
        Ok(flow.unwrap_or_else(|reason| Flow::Done(Err(format!("`{command}` failed: {reason}")))))
    }

    fn set(&mut self, arguments: &[String]) -> Result<(), String> {
        let (name, value) = arguments.split_first().ok_or("it needs the name of a variable")?;
        self.variables.set(name, value.join(" "))
    }

    fn goto(&mut self, arguments: &[String]) -> Result<Flow, String> {
        let [label] = arguments else {
            return Err("it needs one label".to_owned());
        };
        let frame = self.frames.last_mut().ok_or("no script runs")?;
        let place = frame.lines.iter().position(|line| line.label.as_deref() == Some(label));
        frame.next = place.ok_or_else(|| format!("there is no label `{label}`"))?;
        frame.pending.clear();
        Ok(Flow::Done(Ok(())))
    }

    fn chain(&mut self, arguments: &[String]) -> Result<Flow, ScriptError> {
        let (options, url) = match self.to_load(arguments) {
            Ok(found) => found,
            Err(reason) => return Ok(Flow::Done(Err(format!("`chain` failed: {reason}")))),
        };
        self.scripts += 1;
        if self.scripts > MAX_SCRIPTS {
            return Err(self.limit(format!("{MAX_SCRIPTS} scripts")));
        }
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.limit(format!("{MAX_DEPTH} scripts inside of each other")));
        }
        Ok(Flow::Wait(Waiting::Chain { url, replace: options.replace }))
    }

    fn kernel(&mut self, arguments: &[String]) -> Result<Flow, String> {
        let (options, url) = self.to_load(arguments)?;
        Ok(Flow::Wait(Waiting::Kernel(image(&options, &url))))
    }

    fn initrd(&mut self, arguments: &[String]) -> Result<Flow, ScriptError> {
        if self.initrds.len() >= MAX_IMAGES {
            return Err(self.limit(format!("{MAX_IMAGES} images")));
        }
        Ok(match self.to_load(arguments) {
            Ok((options, url)) => Flow::Wait(Waiting::Initrd(image(&options, &url))),
            Err(reason) => Flow::Done(Err(format!("`initrd` failed: {reason}"))),
        })
    }

    fn image_arguments(&mut self, arguments: &[String]) -> Result<Flow, String> {
        let (name, arguments) = arguments.split_first().ok_or("it needs the name of an image")?;
        let found = self.kernel.iter_mut().chain(&mut self.initrds).find(|image| image.name == *name);
        let image = found.ok_or_else(|| format!("there is no image `{name}`"))?;
        image.arguments = arguments.to_vec();
        Ok(Flow::Done(Ok(())))
    }

    fn free(&mut self, arguments: &[String]) -> Result<Flow, String> {
        let freed = |image: &Image| arguments.is_empty() || arguments.contains(&image.name);
        let count =
            |interpreter: &Self| interpreter.initrds.len() + usize::from(interpreter.kernel.is_some());
        let before = count(self);
        self.initrds.retain(|image| !freed(image));
        self.kernel = self.kernel.take().filter(|image| !freed(image));
        if count(self) == before && !arguments.is_empty() {
            return Err(format!("there is no image `{}`", arguments.join(" ")));
        }
        Ok(Flow::Done(Ok(())))
    }

    fn boot(&mut self, arguments: &[String]) -> Result<Flow, String> {
        let arguments = without_flags(arguments);
        let kernel = self.kernel.clone().ok_or("no kernel is loaded")?;
        let mut command_line = kernel.arguments.join(" ");
        if let Some((name, more)) = arguments.split_first() {
            if *name != kernel.name {
                return Err(format!("`{name}` is not the kernel that is loaded"));
            }
            if !more.is_empty() {
                command_line = more.join(" ");
            }
        }
        Ok(Flow::Step(Step::Boot(Boot { kernel, initrds: self.initrds.clone(), command_line })))
    }

    /// Reads the options and the URL, which is relative to that of the script.
    fn to_load<'a>(&self, arguments: &'a [String]) -> Result<(Options<'a>, Url), String> {
        let options = options(arguments)?;
        let (text, rest) = options.rest.split_first().ok_or("it needs a URL")?;
        let base = self.frames.last().ok_or("no script runs")?;
        let url = base.url.join(text).map_err(|error| format!("`{text}` is no URL: {error}"))?;
        Ok((Options { rest, ..options }, url))
    }
}

/// Reads the options of `chain`, `kernel` and `initrd`, which come before the URL.
fn options(arguments: &[String]) -> Result<Options<'_>, String> {
    let mut options = Options { rest: arguments, ..Options::default() };
    while let Some((word, rest)) = options.rest.split_first().filter(|(word, _)| word.starts_with('-')) {
        options.rest = rest;
        let (flag, inline) =
            word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value)));
        match flag {
            "--autofree" | "-a" => {}
            "--replace" | "-r" => options.replace = true,
            "--name" | "-n" | "--timeout" | "-t" => {
                let value = match (inline, options.rest.split_first()) {
                    (Some(value), _) => value,
                    (None, Some((value, rest))) => {
                        options.rest = rest;
                        value.as_str()
                    }
                    (None, None) => return Err(format!("`{flag}` needs a value")),
                };
                if matches!(flag, "--name" | "-n") {
                    options.name = Some(value);
                }
            }
            _ => return Err(format!("the option `{flag}` is not known")),
        }
    }
    Ok(options)
}

fn image(options: &Options<'_>, url: &Url) -> Image {
    let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
    Image {
        url: url.to_string(),
        name: options.name.unwrap_or(last).to_owned(),
        bytes: 0,
        arguments: options.rest.to_vec(),
    }
}

/// Returns the arguments behind the leading ones that begin with `-`, which only change how things look.
fn without_flags(arguments: &[String]) -> &[String] {
    let flags = arguments.iter().take_while(|word| word.starts_with('-')).count();
    arguments.get(flags..).unwrap_or_default()
}

fn holds(command: &str, condition: bool) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("`{command}` does not hold")) }
}

fn equal(arguments: &[String]) -> Result<Flow, String> {
    match arguments {
        [first, second] => Ok(Flow::Done(holds("iseq", first == second))),
        _ => Err("it needs two words".to_owned()),
    }
}

fn exit(arguments: &[String]) -> Flow {
    match arguments.first().map(String::as_str) {
        None | Some("0") => Flow::Exit(Ok(())),
        Some(status) => Flow::Exit(Err(format!("the script ended with `exit {status}`"))),
    }
}

fn sleep(arguments: &[String]) -> Result<Flow, String> {
    let [seconds] = arguments else {
        return Err("it needs a number of seconds".to_owned());
    };
    let seconds = seconds.parse::<u64>().map_err(|_| format!("`{seconds}` is no number of seconds"))?;
    Ok(Flow::Step(Step::Sleep(Duration::from_secs(seconds.min(MAX_SLEEP)))))
}

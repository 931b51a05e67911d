//! From the text of a filter to its results.

use std::io::{self, Write as _};

use jaq_core::{
    Compiler, Ctx, DataT, Exn, Lut, Native, RunPtr, Vars,
    compile::Undefined,
    data::HasLut,
    load::{self, Arena, File, Loader},
    native::{self, Fun, v},
};
use jaq_json::{
    Val,
    write::{Pp, write},
};
use jaq_std::input::{self, HasInputs, RcIter};

use super::{JqError, inputs::Inputs, options::Options};

/// The most of a filter that an error repeats, in characters.
const MAX_SHOWN: usize = 40;

/// What jq has and the crate leaves to its callers.
const MORE: &str = include_str!("more.jq");

/// What filters work on.
struct Kind;

impl DataT for Kind {
    type V<'a> = Val;
    type Data<'a> = Data<'a>;
}

/// What a filter reaches while it runs.
#[derive(Clone)]
struct Data<'a> {
    table: &'a Lut<Kind>,
    inputs: input::Inputs<'a, Val>,
}

impl<'a> HasLut<'a, Kind> for Data<'a> {
    fn lut(&self) -> &'a Lut<Kind> {
        self.table
    }
}

impl<'a> HasInputs<'a, Val> for Data<'a> {
    fn inputs(&self) -> input::Inputs<'a, Val> {
        self.inputs
    }
}

/// How the run of a filter ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All inputs are done.
    Done,
    /// The filter ended the program, with this code.
    Halted(u8),
    /// An input could not be read.
    Unread(String),
}

/// A filter.
pub(super) struct Filter {
    compiled: jaq_core::compile::Filter<Native<Kind>>,
    variables: Vec<Val>,
}

impl Filter {
    /// Compiles the filter that was asked for.
    pub(super) fn compile(options: &Options) -> Result<Self, JqError> {
        let own = load::parse(MORE, |parser| parser.defs()).unwrap_or_default();
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(own);
        let arena = Arena::default();
        let program = File { code: options.filter.as_str(), path: () };
        let modules = Loader::new(definitions)
            .load(&arena, program)
            .map_err(|errors| JqError::Filter(errors.iter().map(|(_, error)| unread(error)).collect()))?;
        let names = options.variables.iter().map(|(name, _)| name.as_str());
        let compiled =
            Compiler::default().with_funs(functions()).with_global_vars(names).compile(modules).map_err(
                |errors| {
                    let all = errors.iter().flat_map(|(_, undefined)| undefined);
                    JqError::Filter(all.map(unknown).collect::<Vec<_>>().join(", "))
                },
            )?;
        Ok(Self { compiled, variables: options.variables.iter().map(|(_, value)| value.clone()).collect() })
    }

    /// Runs the filter on each input, or once on null, and hands over each result or what went wrong.
    pub(super) fn run(
        &self,
        inputs: Inputs<'_>,
        once: bool,
        mut result: impl FnMut(Result<Val, String>) -> io::Result<()>,
    ) -> io::Result<Ended> {
        let inputs = RcIter::new(inputs);
        let shared: input::Inputs<'_, Val> = &inputs;
        let data = Data { table: &self.compiled.lut, inputs: shared };
        let mut null = once.then(|| Ok(Val::Null));
        while let Some(next) = if once { null.take() } else { (&mut &inputs).next() } {
            let value = match next {
                Ok(value) => value,
                Err(words) => return Ok(Ended::Unread(words)),
            };
            let context = Ctx::<Kind>::new(data.clone(), Vars::new(self.variables.clone()));
            for found in self.compiled.id.run((context, value)) {
                match found {
                    Ok(value) => result(Ok(value))?,
                    Err(exception) => match ending(exception) {
                        Ok(words) => result(Err(words))?,
                        Err(code) => return Ok(Ended::Halted(code)),
                    },
                }
            }
        }
        Ok(Ended::Done)
    }
}

/// Returns what went wrong, or the code of a filter that ended the program.
fn ending(exception: Exn<'_, Val>) -> Result<String, u8> {
    match exception.get_err() {
        Ok(error) => Ok(match error.into_val() {
            Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
            value => format!("{value} (not a text)"),
        }),
        Err(other) => match other.get_halt() {
            // As the system does with codes of programs.
            Ok(code) => Err(code.to_le_bytes()[0]),
            Err(_) => Ok(String::from("break")),
        },
    }
}

fn functions() -> impl Iterator<Item = Fun<Kind>> {
    let known = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    // These would go to the log of the program.
    let known = known.filter(|(name, ..)| !matches!(*name, "debug_empty" | "stderr_empty"));
    let read = input::funs::<Kind>().into_vec().into_iter().map(native::run::<Kind>);
    let told: [native::Filter<RunPtr<Kind>>; 2] = [
        ("debug_empty", v(0), |(_, value)| {
            let mut line = b"[\"DEBUG:\",".to_vec();
            tell(&mut line, &value);
            line.extend(b"]\n");
            io::stderr().write_all(&line).ok();
            Box::new(std::iter::empty())
        }),
        ("stderr_empty", v(0), |(_, value)| {
            let mut line = Vec::new();
            match &value {
                Val::TStr(text) => line.extend(text.iter()),
                value => tell(&mut line, value),
            }
            io::stderr().write_all(&line).ok();
            Box::new(std::iter::empty())
        }),
    ];
    known.chain(read).chain(told.into_iter().map(native::run::<Kind>))
}

/// Writes a value in one line. Memory takes all that is written.
fn tell(line: &mut Vec<u8>, value: &Val) {
    write(line, &Pp::default(), 0, value).ok();
}

/// Says what of a filter could not be read.
fn unread(error: &load::Error<&str>) -> String {
    let at = |what: &str, rest: &str| {
        let rest: String = rest.chars().take(MAX_SHOWN).collect();
        match rest.trim().is_empty() {
            true => format!("expected {what} at its end"),
            false => format!("expected {what} at `{}`", rest.trim_end()),
        }
    };
    let all: Vec<String> = match error {
        load::Error::Io(errors) => {
            errors.iter().map(|(path, error)| format!("module `{path}`: {error}")).collect()
        }
        load::Error::Lex(errors) => errors.iter().map(|(what, rest)| at(what.as_str(), rest)).collect(),
        load::Error::Parse(errors) => errors.iter().map(|(what, rest)| at(what.as_str(), rest)).collect(),
    };
    all.join(", ")
}

/// Says what a filter names that is not there.
fn unknown((name, what): &(&str, Undefined)) -> String {
    format!("there is no {} `{name}`", what.as_str())
}

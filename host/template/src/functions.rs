//! The functions that every template may call: those of Go, and those of `sprig` that need neither host nor chance.

mod builtin;
mod compare;
mod convert;
mod json;
mod list;
mod map;
mod number;
mod regex;
mod text;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use crate::error::CallError;
use crate::format;
use crate::limits::Session;
use crate::value::{List, Map, Value};

/// What a function may use besides its arguments.
pub(crate) struct Context<'c> {
    pub(crate) session: &'c mut Session,
}

type Run = fn(&mut Context<'_>, &[Value]) -> Result<Value, CallError>;

/// A function and how many arguments it takes; `most` `None` is any number.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    least: usize,
    most: Option<usize>,
    pub(crate) run: Run,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    /// A function of exactly `count` arguments.
    const fn exact(name: &'static str, count: usize, run: Run) -> Self {
        Self { name, least: count, most: Some(count), run }
    }

    /// A function of `least` arguments or more.
    const fn least(name: &'static str, least: usize, run: Run) -> Self {
        Self { name, least, most: None, run }
    }

    pub(crate) fn takes(&self, count: usize) -> bool {
        count >= self.least && self.most.is_none_or(|most| count <= most)
    }

    /// Tells whether the argument at `index` is a map that is only read.
    pub(crate) fn takes_map(&self, index: usize) -> bool {
        match self.name {
            "get" | "hasKey" | "omit" | "pick" | "unset" => index == 0,
            "pluck" => index > 0,
            "keys" | "values" | "merge" | "mustMerge" | "mergeOverwrite" | "mustMergeOverwrite" => true,
            _ => false,
        }
    }

    pub(crate) fn wants(&self) -> String {
        if self.most.is_some() { self.least.to_string() } else { format!("at least {}", self.least) }
    }
}

/// Functions of sprig that say what is wrong, and their twins that give up in Go; here they are one.
const MUST: &[(&str, &str)] = &[
    ("mustAppend", "append"),
    ("mustChunk", "chunk"),
    ("mustCompact", "compact"),
    ("mustFirst", "first"),
    ("mustHas", "has"),
    ("mustInitial", "initial"),
    ("mustLast", "last"),
    ("mustPrepend", "prepend"),
    ("mustPush", "push"),
    ("mustRest", "rest"),
    ("mustReverse", "reverse"),
    ("mustSlice", "slice"),
    ("mustUniq", "uniq"),
    ("mustWithout", "without"),
];

static TABLE: LazyLock<HashMap<&'static str, &'static Function>> = LazyLock::new(|| {
    // Later tables win: the `slice` of sprig takes the place of Go's.
    let tables = [
        builtin::FUNCTIONS,
        compare::FUNCTIONS,
        convert::FUNCTIONS,
        json::FUNCTIONS,
        list::FUNCTIONS,
        map::FUNCTIONS,
        number::FUNCTIONS,
        regex::FUNCTIONS,
        text::FUNCTIONS,
    ];
    let mut table: HashMap<_, _> =
        tables.into_iter().flatten().map(|function| (function.name, function)).collect();
    for (alias, name) in MUST {
        let found = table.get(name).copied();
        table.extend(found.map(|function| (*alias, function)));
    }
    table
});

/// Returns the function `name`.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    TABLE.get(name).copied()
}

/// Returns the names of all functions, in no order.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}

/// The arguments of a call, taken with the types that the callee wants.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a> {
    values: &'a [Value],
}

impl<'a> Arguments<'a> {
    /// Looks at `values`.
    pub fn new(values: &'a [Value]) -> Self {
        Self { values }
    }

    /// Refuses any other number of arguments than `least` to `most`.
    ///
    /// # Errors
    ///
    /// The numbers wanted and given.
    pub fn count(self, least: usize, most: usize) -> Result<Self, CallError> {
        let given = self.values.len();
        if (least..=most).contains(&given) {
            return Ok(self);
        }
        let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
        Err(format!("wrong number of args: want {wanted} got {given}").into())
    }

    /// Returns the argument at `index`, nil if there is none.
    pub fn value(self, index: usize) -> &'a Value {
        self.values.get(index).unwrap_or(&Value::Nil)
    }

    /// Returns the text at `index`.
    ///
    /// # Errors
    ///
    /// The type that is there instead.
    pub fn text(self, index: usize) -> Result<&'a str, CallError> {
        match self.value(index) {
            Value::String(text) => Ok(text),
            other => Err(expected("string", other)),
        }
    }

    /// Returns the whole number at `index`; a float without a fraction is one.
    ///
    /// # Errors
    ///
    /// The type that is there instead.
    pub fn int(self, index: usize) -> Result<i64, CallError> {
        match self.value(index) {
            Value::Int(number) => Ok(*number),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
            Value::Float(number) if format::is_whole(*number) => Ok(*number as i64),
            other => Err(expected("int", other)),
        }
    }

    fn bool(self, index: usize) -> Result<bool, CallError> {
        match self.value(index) {
            Value::Bool(truth) => Ok(*truth),
            other => Err(expected("bool", other)),
        }
    }

    fn map(self, index: usize) -> Result<&'a Map, CallError> {
        match self.value(index) {
            Value::Map(map) => Ok(map),
            other => Err(expected("map[string]interface {}", other)),
        }
    }

    /// Returns the list at `index`; `verb` says what was to be done with it.
    fn list(self, index: usize, verb: &str) -> Result<&'a List, CallError> {
        match self.value(index) {
            Value::List(list) => Ok(list),
            other => Err(format!("cannot {verb} type {}", other.kind_name()).into()),
        }
    }

    /// Returns the arguments from `index` on.
    fn rest(self, index: usize) -> &'a [Value] {
        self.values.get(index..).unwrap_or_default()
    }
}

fn expected(wanted: &str, found: &Value) -> CallError {
    match found {
        Value::Nil => format!("invalid value; expected {wanted}").into(),
        other => format!("wrong type for value; expected {wanted}; got {}", other.type_name()).into(),
    }
}

/// Returns a value as plain text, as sprig's `toString` does.
fn plain_text(context: &mut Context<'_>, value: &Value) -> Result<String, CallError> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        other => format::text(context.session, other),
    }
}

/// Returns the texts of a list without its nils; any other value is a list of one.
fn texts(context: &mut Context<'_>, value: &Value) -> Result<Vec<String>, CallError> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::List(list) => list
            .items()
            .iter()
            .filter(|item| !matches!(item, Value::Nil))
            .map(|item| plain_text(context, item))
            .collect(),
        other => Ok(vec![plain_text(context, other)?]),
    }
}

/// Makes a list of texts.
fn text_list<T: AsRef<str>>(
    context: &mut Context<'_>,
    texts: impl IntoIterator<Item = T>,
) -> Result<Value, CallError> {
    let mut items = Vec::new();
    for text in texts {
        context.session.memory(size_of::<Value>())?;
        items.push(context.session.text(text.as_ref())?);
    }
    context.session.list(items)
}

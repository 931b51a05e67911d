//! Go `text/template` for boot files, scripts and params, with the generic functions of the `sprig` library.
//!
//! Pure: no files, sockets, clock or random numbers. Texts are parsed into a [`Template`]; a [`TemplateSet`] lets them
//! include each other; [`render`] runs one with a root that the caller supplies as an [`Object`] (fields, and methods
//! with arguments such as `.Param "x"`) or as a plain [`Value`]. Every render is bounded by [`RenderLimits`].
//!
//! What a render reads that no message may quote is told to its [`Confidential`].
//!
//! The golden cases in `tests/golden/cases` hold what Go prints; `cargo xtask golden` fills them in. These differences from
//! Go are meant:
//!
//! - JSON numbers without a fraction are integers. `eq`, `lt` and their like compare integers with floats by value,
//!   `%d` and `%x` take a whole float and `%f` an integer, `index` and other functions take a whole float for an integer.
//! - There is one integer type: `%T` prints `int` where Go has `int64` or `uint8`, `has` and `deepEqual` find equal
//!   numbers of different Go types equal. Lists and maps have one type each too, so typed Go lists and maps fit anywhere.
//! - `keys`, `values` and `merge` go by sorted key, where Go's order is random.
//! - `env`, `expandenv`, `now` and `ago` do not exist (drp-behaviour.md 2.4). Neither do the functions of `sprig` for
//!   dates, random numbers, UUIDs, certificates, encryption, networks, paths, URLs and decimal arithmetic (`addf` and its
//!   like), nor word case conversion, `abbrev`, `wrap`, `shuffle`, `plural` and `semver`.
//! - An empty list is a list: `rest` of one is `[]` in JSON, where Go has `null`.
//! - `nospace`, `initials` and `untitle` keep characters outside of ASCII whole, where sprig takes them byte by byte.
//! - An action that is never closed is reported at its beginning, and before any mistake of another kind. Numbers that
//!   fit no 64-bit integer are refused when the text is parsed.
//! - Complex numbers, `%p` and function values do not exist; bytes that are not UTF-8 become U+FFFD.
//! - With [`MissingKey::NoValue`], a field of a key that is present and null is `<no value>` too, an error in Go.
//! - Regular expressions are those of the `regex` crate with Go's ASCII meaning of `\d`, `\w`, `\s` and `\b`; `\C` is
//!   refused, and a name stands for one group. JSON that is longer or deeper than `serde_json` takes does not decode.
//! - Nesting is bounded: 60 levels of actions and parentheses in a text, 100 templates, 200 levels of a value.

mod ast;
mod confidential;
mod error;
mod evaluate;
mod float;
mod format;
mod functions;
mod hint;
mod lex;
mod limits;
mod literal;
mod parse;
mod quote;
mod render;
mod template;
mod value;

pub use confidential::Confidential;
pub use error::{CallError, ParseError, RenderError, RenderFailure};
pub use functions::Arguments;
pub use lex::Delimiters;
pub use limits::RenderLimits;
pub use render::{Engine, MissingKey, RenderOptions, render};
pub use template::{Include, Template, TemplateSet};
pub use value::{List, Map, Object, Value};

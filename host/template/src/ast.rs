//! A parsed template.
//!
//! Nodes keep the range of their source, from which errors get their line and the text of the expression.

use std::ops::Range;
use std::sync::Arc;

use crate::functions::Function;

/// Where a node stands in the source, in bytes.
pub(crate) type Span = Range<usize>;

/// Nodes that run one after the other.
pub(crate) type Body = Vec<Node>;

#[derive(Debug)]
pub(crate) enum Node {
    /// Plain text, and where it stands.
    Text(Arc<str>, usize),
    /// Prints its value, unless it declares or assigns.
    Action(Pipe),
    If(Branches),
    With(Branches),
    Range {
        pipe: Pipe,
        body: Body,
        otherwise: Option<Body>,
    },
    Include {
        name: Arc<str>,
        dot: Option<Pipe>,
        span: Span,
    },
    Break,
    Continue,
}

/// An `if` or `with` and its `else if` or `else with`, the arms in order.
#[derive(Debug)]
pub(crate) struct Branches {
    pub(crate) arms: Vec<(Pipe, Body)>,
    pub(crate) otherwise: Option<Body>,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    /// Names with the dollar; two at most.
    pub(crate) variables: Vec<Arc<str>>,
    /// `=` and not `:=`.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
    pub(crate) span: Span,
}

/// An operand, and the arguments of the function or method that it names.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) head: Operand,
    pub(crate) args: Vec<Operand>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) term: Term,
    /// The names of `.a.b` behind the term; behind a dot they make a field of it.
    pub(crate) fields: Vec<Arc<str>>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    String(Arc<str>),
    Variable(Arc<str>),
    Function(&'static Function),
    Pipe(Box<Pipe>),
}

/// A numeric literal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

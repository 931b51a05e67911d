//! One condition of a list query (drp-api.md 4.1): as it is written, and as it is tested.

use std::{cmp::Ordering, ops::Bound};

use formwork_model::{Native, SortKey};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::{Index, QueryError, Shape};

/// The memory that a compiled expression may take, in bytes. The engine itself never backtracks.
const EXPRESSION_LIMIT: usize = 1 << 20;

/// How a member is compared.
#[derive(Clone, Debug)]
pub enum Operator<T = String> {
    /// Equal.
    Eq(T),
    /// Not equal.
    Ne(T),
    /// Less.
    Lt(T),
    /// Less or equal.
    Lte(T),
    /// Greater.
    Gt(T),
    /// Greater or equal.
    Gte(T),
    /// Within, both ends included.
    Between(T, T),
    /// Outside.
    Except(T, T),
    /// One of a list.
    In(Vec<T>),
    /// None of a list.
    Nin(Vec<T>),
    /// An expression matches somewhere.
    Re(Regex),
}

/// A condition on one index, as a query writes it.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The member, or the name of a param.
    pub index: String,
    /// The condition.
    pub operator: Operator,
}

impl Filter {
    /// Parses `index=value` or `index=Op(arguments)`.
    ///
    /// # Errors
    ///
    /// The arguments do not fit the operator, or the expression does not parse.
    pub fn parse(index: &str, text: &str) -> Result<Self, QueryError> {
        let called = text.strip_suffix(')').and_then(|head| head.split_once('('));
        let (word, arguments) = called.unwrap_or(("Eq", text));
        let known = Self::with(index, word, arguments)?;
        // A value may well end in a parenthesis without being a call.
        Ok(known.unwrap_or_else(|| Self { index: index.to_owned(), operator: Operator::Eq(text.to_owned()) }))
    }

    /// Makes a condition of an operator and its arguments; nothing of an operator that does not exist.
    ///
    /// # Errors
    ///
    /// The arguments do not fit the operator, or the expression does not parse.
    pub fn with(index: &str, word: &str, arguments: &str) -> Result<Option<Self>, QueryError> {
        let bad = |reason: &str| QueryError::BadFilter {
            name: index.to_owned(),
            text: format!("{word}({arguments})"),
            reason: reason.to_owned(),
        };
        let two = || {
            arguments
                .split_once(',')
                .map(|(low, high)| (low.trim().to_owned(), high.trim().to_owned()))
                .ok_or_else(|| bad("two values with a comma between them are needed"))
        };
        let list = || arguments.split(',').map(|value| value.trim().to_owned()).collect();
        let one = || arguments.to_owned();
        let operator = match word.to_lowercase().as_str() {
            "eq" | "=" => Operator::Eq(one()),
            "ne" => Operator::Ne(one()),
            "lt" => Operator::Lt(one()),
            "lte" => Operator::Lte(one()),
            "gt" => Operator::Gt(one()),
            "gte" => Operator::Gte(one()),
            "between" => two().map(|(low, high)| Operator::Between(low, high))?,
            "except" => two().map(|(low, high)| Operator::Except(low, high))?,
            "in" => Operator::In(list()),
            "nin" => Operator::Nin(list()),
            "re" => {
                let built = RegexBuilder::new(arguments).size_limit(EXPRESSION_LIMIT).build();
                Operator::Re(built.map_err(|error| bad(&error.to_string()))?)
            }
            _ => return Ok(None),
        };
        Ok(Some(Self { index: index.to_owned(), operator }))
    }

    /// Reads the arguments as values of an index.
    ///
    /// # Errors
    ///
    /// A value is none of the type of the index, or its values cannot be compared like this.
    pub fn on(&self, index: Index) -> Result<Condition, QueryError> {
        let bad = |text: &str, reason: &str| QueryError::BadFilter {
            name: self.index.clone(),
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        if self.operator.is_expression() && !index.is_text() {
            return Err(bad("Re", "only texts are compared with expressions"));
        }
        if self.operator.needs_order() && index.shape == Shape::Map {
            return Err(bad(self.operator.word(), "the index has no order"));
        }
        let operator = self.operator.map(|text| {
            let key = match index.native {
                Some(native) => Some(
                    SortKey::parse(native, text)
                        .ok_or_else(|| bad(text, &format!("it is no {}", words(native))))?,
                ),
                None => None,
            };
            Ok(Operand { text: text.to_owned(), key })
        })?;
        Ok(Condition { index, operator })
    }
}

/// What values of a type are called.
fn words(native: Native) -> &'static str {
    match native {
        Native::Boolean => "boolean",
        Native::Number => "number",
        Native::Address => "IPv4 address",
        Native::Time => "RFC 3339 time",
        Native::Text => "text",
    }
}

impl<T> Operator<T> {
    fn map<U>(&self, mut read: impl FnMut(&T) -> Result<U, QueryError>) -> Result<Operator<U>, QueryError> {
        Ok(match self {
            Self::Eq(value) => Operator::Eq(read(value)?),
            Self::Ne(value) => Operator::Ne(read(value)?),
            Self::Lt(value) => Operator::Lt(read(value)?),
            Self::Lte(value) => Operator::Lte(read(value)?),
            Self::Gt(value) => Operator::Gt(read(value)?),
            Self::Gte(value) => Operator::Gte(read(value)?),
            Self::Between(low, high) => Operator::Between(read(low)?, read(high)?),
            Self::Except(low, high) => Operator::Except(read(low)?, read(high)?),
            Self::In(values) => Operator::In(values.iter().map(read).collect::<Result<_, _>>()?),
            Self::Nin(values) => Operator::Nin(values.iter().map(read).collect::<Result<_, _>>()?),
            Self::Re(expression) => Operator::Re(expression.clone()),
        })
    }

    pub(super) fn is_expression(&self) -> bool {
        matches!(self, Self::Re(_))
    }

    fn needs_order(&self) -> bool {
        !matches!(self, Self::Eq(_) | Self::Ne(_) | Self::In(_) | Self::Nin(_) | Self::Re(_))
    }

    /// Tells whether what is not there passes.
    fn is_negative(&self) -> bool {
        matches!(self, Self::Ne(_) | Self::Nin(_))
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Eq(_) => "Eq",
            Self::Ne(_) => "Ne",
            Self::Lt(_) => "Lt",
            Self::Lte(_) => "Lte",
            Self::Gt(_) => "Gt",
            Self::Gte(_) => "Gte",
            Self::Between(..) => "Between",
            Self::Except(..) => "Except",
            Self::In(_) => "In",
            Self::Nin(_) => "Nin",
            Self::Re(_) => "Re",
        }
    }
}

/// A value that a query compares with.
#[derive(Clone, Debug)]
pub struct Operand {
    text: String,
    /// Nothing when each value says by itself as what it is compared.
    key: Option<SortKey>,
}

impl Operand {
    /// Tells how a value stands to this one; nothing when the text cannot be read as the value's type.
    fn order(&self, member: &str, value: &Value) -> Option<Ordering> {
        let own = SortKey::of(member, value);
        match &self.key {
            Some(key) => Some(own.cmp(key)),
            None => Some(own.cmp(&SortKey::parse(Native::of("", value), &self.text)?)),
        }
    }
}

/// A condition on one index, ready to be tested.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What is looked at.
    pub index: Index,
    operator: Operator<Operand>,
}

/// Where a part of the order of values begins and where it ends.
pub type Bounds = (Bound<SortKey>, Bound<SortKey>);

impl Condition {
    /// Tells whether a value of the index passes. Of a list one item must; for `Ne` and `Nin` none may be it, and what
    /// is not there passes.
    #[must_use]
    pub fn accepts(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else { return self.operator.is_negative() };
        let passes = match value {
            Value::Array(items) => items.iter().any(|item| self.holds(item)),
            one => self.holds(one),
        };
        passes != self.operator.is_negative()
    }

    /// Tells whether one value is what the operator says; of the negative ones, what they deny.
    fn holds(&self, value: &Value) -> bool {
        let is = |operand: &Operand, wanted: fn(Ordering) -> bool| {
            operand.order(self.index.member(), value).is_some_and(wanted)
        };
        match &self.operator {
            Operator::Eq(operand) | Operator::Ne(operand) => is(operand, Ordering::is_eq),
            Operator::Lt(operand) => is(operand, Ordering::is_lt),
            Operator::Lte(operand) => is(operand, Ordering::is_le),
            Operator::Gt(operand) => is(operand, Ordering::is_gt),
            Operator::Gte(operand) => is(operand, Ordering::is_ge),
            Operator::Between(low, high) => is(low, Ordering::is_ge) && is(high, Ordering::is_le),
            Operator::Except(low, high) => is(low, Ordering::is_lt) || is(high, Ordering::is_gt),
            Operator::In(operands) | Operator::Nin(operands) => {
                operands.iter().any(|operand| is(operand, Ordering::is_eq))
            }
            Operator::Re(expression) => value.as_str().is_some_and(|text| expression.is_match(text)),
        }
    }

    /// Returns the parts of the order in which exactly the values lie that pass, none of them twice; nothing when they
    /// are not worth a look: nearly everything passes, or only a look at the value can tell.
    #[must_use]
    pub fn spans(&self) -> Option<Vec<Bounds>> {
        let included = |operand: &Operand| operand.key.clone().map(Bound::Included);
        let excluded = |operand: &Operand| operand.key.clone().map(Bound::Excluded);
        let all = Bound::Unbounded;
        Some(match &self.operator {
            Operator::Eq(value) => vec![(included(value)?, included(value)?)],
            Operator::Lt(value) => vec![(all, excluded(value)?)],
            Operator::Lte(value) => vec![(all, included(value)?)],
            Operator::Gt(value) => vec![(excluded(value)?, all)],
            Operator::Gte(value) => vec![(included(value)?, all)],
            Operator::Between(low, high) => vec![(included(low)?, included(high)?)],
            Operator::Except(low, high) if low.key <= high.key => {
                vec![(all.clone(), excluded(low)?), (excluded(high)?, all)]
            }
            Operator::In(values) => {
                let mut keys = values.iter().map(|value| value.key.clone()).collect::<Option<Vec<_>>>()?;
                keys.sort_unstable();
                keys.dedup();
                keys.into_iter().map(|key| (Bound::Included(key.clone()), Bound::Included(key))).collect()
            }
            Operator::Except(..) | Operator::Ne(_) | Operator::Nin(_) | Operator::Re(_) => return None,
        })
    }

    /// Returns the values of which an object must have one, when the condition names them.
    #[must_use]
    pub fn values(&self) -> Option<Vec<SortKey>> {
        let operands = match &self.operator {
            Operator::Eq(value) => std::slice::from_ref(value),
            Operator::In(values) => values,
            _ => return None,
        };
        let mut keys = operands.iter().map(|operand| operand.key.clone()).collect::<Option<Vec<_>>>()?;
        keys.sort_unstable();
        keys.dedup();
        Some(keys)
    }
}

//! One condition of a list query (drp-api.md 4.1).

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::QueryError;

/// The memory that a compiled expression may take, in bytes. The engine itself never backtracks.
const EXPRESSION_LIMIT: usize = 1 << 20;

/// How a member is compared.
#[derive(Clone, Debug)]
pub enum Operator {
    /// Equal.
    Eq(String),
    /// Not equal.
    Ne(String),
    /// Less.
    Lt(String),
    /// Less or equal.
    Lte(String),
    /// Greater.
    Gt(String),
    /// Greater or equal.
    Gte(String),
    /// Within, both ends included.
    Between(String, String),
    /// Outside.
    Except(String, String),
    /// One of a list.
    In(Vec<String>),
    /// None of a list.
    Nin(Vec<String>),
    /// An expression matches somewhere.
    Re(Regex),
}

/// A condition on one index.
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
        let bad = |reason: &str| QueryError::BadFilter {
            name: index.to_owned(),
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let called = text.strip_suffix(')').and_then(|head| head.split_once('('));
        let (word, arguments) = called.unwrap_or(("Eq", text));
        let two = || {
            arguments
                .split_once(',')
                .map(|(low, high)| (low.trim().to_owned(), high.trim().to_owned()))
                .ok_or_else(|| bad("two values with a comma between them are needed"))
        };
        let list = || arguments.split(',').map(|value| value.trim().to_owned()).collect();
        let one = || arguments.to_owned();
        let operator = match word.to_lowercase().as_str() {
            "eq" => Operator::Eq(one()),
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
            // A value may well end in a parenthesis without being a call.
            _ => Operator::Eq(text.to_owned()),
        };
        Ok(Self { index: index.to_owned(), operator })
    }

    /// Tells whether an object passes. An index that is no member is looked up among the params.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let name = self.index.strip_prefix("Params.").unwrap_or(&self.index);
        let member =
            object.get(&self.index).or_else(|| object.get("Params").and_then(|params| params.get(name)));
        match (&self.operator, member) {
            (Operator::Ne(_) | Operator::Nin(_), None) => true,
            (_, None) => false,
            (operator, Some(member)) => operator.accepts(member),
        }
    }
}

impl Operator {
    fn accepts(&self, member: &Value) -> bool {
        match (self, member) {
            (Self::Ne(value), Value::Array(_)) => !Self::Eq(value.clone()).accepts(member),
            (Self::Nin(values), Value::Array(_)) => !Self::In(values.clone()).accepts(member),
            (_, Value::Array(items)) => items.iter().any(|item| self.accepts(item)),
            (Self::Eq(value), _) => order(member, value).is_eq(),
            (Self::Ne(value), _) => order(member, value).is_ne(),
            (Self::Lt(value), _) => order(member, value).is_lt(),
            (Self::Lte(value), _) => order(member, value).is_le(),
            (Self::Gt(value), _) => order(member, value).is_gt(),
            (Self::Gte(value), _) => order(member, value).is_ge(),
            (Self::Between(low, high), _) => order(member, low).is_ge() && order(member, high).is_le(),
            (Self::Except(low, high), _) => order(member, low).is_lt() || order(member, high).is_gt(),
            (Self::In(values), _) => values.iter().any(|value| order(member, value).is_eq()),
            (Self::Nin(values), _) => values.iter().all(|value| order(member, value).is_ne()),
            (Self::Re(expression), Value::String(text)) => expression.is_match(text),
            (Self::Re(_), _) => false,
        }
    }
}

/// Compares a member with the text of a filter, by the member's own type.
fn order(member: &Value, text: &str) -> Ordering {
    match member {
        Value::Bool(value) => {
            let asked = matches!(text.to_lowercase().as_str(), "true" | "1" | "t");
            value.cmp(&asked)
        }
        Value::Number(number) => text
            .parse::<f64>()
            .ok()
            .and_then(|asked| number.as_f64().and_then(|number| number.partial_cmp(&asked)))
            .unwrap_or_else(|| number.to_string().as_str().cmp(text)),
        Value::String(value) => value.as_str().cmp(text),
        other => other.to_string().as_str().cmp(text),
    }
}

/// Orders two members: numbers as numbers, texts as texts, kinds apart.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

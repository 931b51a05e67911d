//! Comparison: Go's operators, and the deep equality of `has`, `uniq` and `deepEqual`.

use std::cmp::Ordering;

use super::{Arguments, Context, Function};
use crate::error::CallError;
use crate::limits::{Session, VALUE_DEPTH};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::least("eq", 1, |context, args| equals_any(context, args).map(Value::Bool)),
    Function::exact("ne", 2, |context, args| equals_any(context, args).map(|equal| Value::Bool(!equal))),
    Function::exact("lt", 2, |_, args| order(args, |order| order == Some(Ordering::Less))),
    Function::exact("le", 2, |_, args| {
        order(args, |order| matches!(order, Some(Ordering::Less | Ordering::Equal)))
    }),
    Function::exact("gt", 2, |_, args| {
        order(args, |order| order != Some(Ordering::Less) && order != Some(Ordering::Equal))
    }),
    Function::exact("ge", 2, |_, args| order(args, |order| order != Some(Ordering::Less))),
    Function::exact("deepEqual", 2, |context, args| {
        let arguments = Arguments::new(args);
        deep_equal(context.session, arguments.value(0), arguments.value(1)).map(Value::Bool)
    }),
];

/// Returns whether two values are the same all the way down.
pub(super) fn deep_equal(session: &mut Session, left: &Value, right: &Value) -> Result<bool, CallError> {
    deep(session, left, right, 0)
}

fn deep(session: &mut Session, left: &Value, right: &Value, depth: u16) -> Result<bool, CallError> {
    session.steps(1)?;
    if depth > VALUE_DEPTH {
        return Err(CallError::Limit("the values are nested too deeply, or hold themselves".to_owned()));
    }
    match (left, right) {
        (Value::List(left), Value::List(right)) => {
            if left.items().len() != right.items().len() {
                return Ok(false);
            }
            for (left, right) in left.items().iter().zip(right.items()) {
                if !deep(session, left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(left), Value::Map(right)) if left.identity() == right.identity() => Ok(true),
        (Value::Map(left), Value::Map(right)) => {
            session.steps(left.len().saturating_add(right.len()))?;
            let (left, right) = (left.entries(), right.entries());
            if left.len() != right.len() {
                return Ok(false);
            }
            for ((left_key, left), (right_key, right)) in left.iter().zip(&right) {
                if left_key != right_key || !deep(session, left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_)) => Ok(false),
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Object(left), Value::Object(right)) => Ok(std::sync::Arc::ptr_eq(left, right)),
        _ => Ok(basic(left, right) == Some(true)),
    }
}

fn equals_any(_: &mut Context<'_>, args: &[Value]) -> Result<bool, CallError> {
    let Some((first, rest)) = args.split_first() else {
        return Err("missing argument for comparison".into());
    };
    if rest.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in rest {
        let equal = match (first, other) {
            (Value::Nil, Value::Nil) => true,
            (Value::Nil, _) | (_, Value::Nil) => false,
            _ => match basic(first, other) {
                Some(equal) => equal,
                None if is_basic(first) || is_basic(other) => return Err(incompatible(first, other)),
                None => {
                    let (left, right) = (first.type_name(), other.type_name());
                    return Err(format!("non-comparable types {left} and {right}").into());
                }
            },
        };
        if equal {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Compares two values of the same basic kind, integers and floats taken as one.
fn basic(left: &Value, right: &Value) -> Option<bool> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left == right),
        (Value::Object(left), Value::Object(right)) => Some(std::sync::Arc::ptr_eq(left, right)),
        _ if is_ordered(left) && is_ordered(right) => {
            compare(left, right).ok().map(|order| order == Some(Ordering::Equal))
        }
        _ => None,
    }
}

fn is_ordered(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Float(_) | Value::String(_))
}

fn is_basic(value: &Value) -> bool {
    is_ordered(value) || matches!(value, Value::Bool(_))
}

fn incompatible(left: &Value, right: &Value) -> CallError {
    format!("incompatible types for comparison: {} and {}", left.type_name(), right.type_name()).into()
}

fn order(args: &[Value], accept: fn(Option<Ordering>) -> bool) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    compare(arguments.value(0), arguments.value(1)).map(|order| Value::Bool(accept(order)))
}

fn compare(left: &Value, right: &Value) -> Result<Option<Ordering>, CallError> {
    #[expect(clippy::cast_precision_loss, reason = "the nearest float is close enough to order by")]
    let float = |number: &i64| *number as f64;
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Some(left.cmp(right))),
        (Value::Float(left), Value::Float(right)) => Ok(left.partial_cmp(right)),
        (Value::Int(left), Value::Float(right)) => Ok(float(left).partial_cmp(right)),
        (Value::Float(left), Value::Int(right)) => Ok(left.partial_cmp(&float(right))),
        (Value::String(left), Value::String(right)) => Ok(Some(left.cmp(right))),
        (left, right) if is_basic(left) && is_basic(right) && left.kind_name() != right.kind_name() => {
            Err(incompatible(left, right))
        }
        _ => Err("invalid type for comparison".into()),
    }
}

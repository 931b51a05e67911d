//! Arithmetic on whole numbers, and rounding. What is not a number counts as zero; sums wrap around, as in Go.

use super::{Arguments, Context, Function};
use crate::ast::Number;
use crate::error::CallError;
use crate::literal;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::exact("int", 1, |_, args| Ok(to_int(Arguments::new(args).value(0)).into())),
    Function::exact("int64", 1, |_, args| Ok(to_int(Arguments::new(args).value(0)).into())),
    Function::exact("float64", 1, |_, args| Ok(to_float(Arguments::new(args).value(0)).into())),
    Function::exact("atoi", 1, |_, args| {
        use std::num::IntErrorKind;
        Ok(Value::Int(Arguments::new(args).text(0)?.parse().unwrap_or_else(
            |error: std::num::ParseIntError| match error.kind() {
                IntErrorKind::PosOverflow => i64::MAX,
                IntErrorKind::NegOverflow => i64::MIN,
                _ => 0,
            },
        )))
    }),
    Function::exact("toDecimal", 1, |context, args| {
        let text = super::plain_text(context, Arguments::new(args).value(0))?;
        Ok(Value::Int(i64::from_str_radix(&text, 8).unwrap_or(0)))
    }),
    Function::exact("add1", 1, |_, args| Ok(to_int(Arguments::new(args).value(0)).wrapping_add(1).into())),
    Function::least("add", 0, |_, args| {
        Ok(args.iter().fold(0_i64, |sum, value| sum.wrapping_add(to_int(value))).into())
    }),
    Function::exact("sub", 2, |_, args| pair(args, |left, right| Ok(left.wrapping_sub(right)))),
    Function::least("mul", 1, |_, args| {
        Ok(args.iter().fold(1_i64, |product, value| product.wrapping_mul(to_int(value))).into())
    }),
    Function::exact("div", 2, |_, args| {
        pair(args, |left, right| nonzero(right).map(|by| left.wrapping_div(by)))
    }),
    Function::exact("mod", 2, |_, args| {
        pair(args, |left, right| nonzero(right).map(|by| left.wrapping_rem(by)))
    }),
    Function::least("max", 1, |_, args| Ok(args.iter().map(to_int).max().unwrap_or(0).into())),
    Function::least("biggest", 1, |_, args| Ok(args.iter().map(to_int).max().unwrap_or(0).into())),
    Function::least("min", 1, |_, args| Ok(args.iter().map(to_int).min().unwrap_or(0).into())),
    Function::least("maxf", 1, |_, args| {
        Ok(args.iter().map(to_float).fold(f64::NEG_INFINITY, f64::max).into())
    }),
    Function::least("minf", 1, |_, args| Ok(args.iter().map(to_float).fold(f64::INFINITY, f64::min).into())),
    Function::exact("ceil", 1, |_, args| Ok(to_float(Arguments::new(args).value(0)).ceil().into())),
    Function::exact("floor", 1, |_, args| Ok(to_float(Arguments::new(args).value(0)).floor().into())),
    Function::least("round", 2, round),
    Function::least("seq", 0, counted),
    Function::exact("until", 1, |context, args| {
        let count = Arguments::new(args).int(0)?;
        sequence(context, 0, count, if count < 0 { -1 } else { 1 })
    }),
    Function::exact("untilStep", 3, |context, args| {
        let arguments = Arguments::new(args);
        sequence(context, arguments.int(0)?, arguments.int(1)?, arguments.int(2)?)
    }),
];

/// Converts as sprig's `int` does: floats are cut, texts are read as Go literals, the rest is zero.
#[expect(clippy::cast_possible_truncation, reason = "cutting is what the function is for")]
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::Float(number) => *number as i64,
        Value::Bool(truth) => i64::from(*truth),
        Value::String(text) => match literal::number(without_zero_fraction(text)) {
            Some(Number::Int(number)) => number,
            _ => 0,
        },
        _ => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "the nearest float is what the function is for")]
fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::String(text) => literal::float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Cuts `.0`, `.00` and so on.
fn without_zero_fraction(text: &str) -> &str {
    let cut = text.trim_end_matches('0');
    if cut.len() < text.len() { cut.strip_suffix('.').unwrap_or(text) } else { text }
}

fn pair(args: &[Value], act: fn(i64, i64) -> Result<i64, CallError>) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    act(to_int(arguments.value(0)), to_int(arguments.value(1))).map(Value::Int)
}

fn nonzero(number: i64) -> Result<i64, CallError> {
    if number == 0 { Err("runtime error: integer divide by zero".into()) } else { Ok(number) }
}

fn round(_: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let places = i32::try_from(arguments.int(1)?).unwrap_or(0);
    let up_from = match args.get(2) {
        None => 0.5,
        Some(number @ (Value::Int(_) | Value::Float(_))) => to_float(number),
        Some(other) => return Err(super::expected("float64", other)),
    };
    let power = 10_f64.powi(places);
    let digit = power * to_float(arguments.value(0));
    let rounded = if digit.fract() >= up_from { digit.ceil() } else { digit.floor() };
    Ok((rounded / power).into())
}

/// Counts like the program `seq`: up to an end, from a start to an end, or with the step between them.
fn counted(context: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    for index in 0..args.len() {
        arguments.int(index)?;
    }
    let (start, step, end) = match args.len() {
        1 => (1, None, arguments.int(0)?),
        2 => (arguments.int(0)?, None, arguments.int(1)?),
        3 => (arguments.int(0)?, Some(arguments.int(1)?), arguments.int(2)?),
        _ => return Ok(Value::from("")),
    };
    let beyond = if end < start { -1 } else { 1 };
    if step.is_some_and(|step| end < start && step > 0) {
        return Ok(Value::from(""));
    }
    let numbers = sequence(context, start, end.saturating_add(beyond), step.unwrap_or(beyond))?;
    let words = super::texts(context, &numbers)?;
    context.session.text(words.join(" "))
}

fn sequence(context: &mut Context<'_>, start: i64, stop: i64, step: i64) -> Result<Value, CallError> {
    let down = stop < start;
    if step == 0 || down != (step < 0) {
        return context.session.list(Vec::new());
    }
    let count = start.abs_diff(stop).div_ceil(step.unsigned_abs());
    context
        .session
        .memory(usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(size_of::<Value>()))?;
    let numbers = std::iter::successors(Some(start), |number| number.checked_add(step));
    let inside = |number: &i64| if down { *number > stop } else { *number < stop };
    context.session.list(numbers.take_while(inside).map(Value::Int).collect())
}

//! Values as text: Go's `fmt` for the kinds of values that templates have.
//!
//! One difference is meant. JSON has one kind of number and Go gives all of them to templates as floating-point ones;
//! here whole ones are integers. So that texts written for either work, `%d` and its like take a whole float, and `%f`
//! and its like take an integer.

mod directive;

use std::sync::Arc;

use crate::error::CallError;
use crate::float;
use crate::limits::{Session, VALUE_DEPTH};
use crate::quote;
use crate::value::Value;

pub(crate) use directive::printf;

/// Formats a value as `%v` does.
pub(crate) fn text(session: &mut Session, value: &Value) -> Result<String, CallError> {
    let mut printer = Printer::new(session);
    printer.value(value, &Spec::of('v'), 0)?;
    printer.finish(session)
}

/// Formats as Go's `Sprint`: a space between operands when neither is text.
pub(crate) fn print(session: &mut Session, values: &[Value]) -> Result<String, CallError> {
    let mut printer = Printer::new(session);
    let mut after_text = true;
    for (index, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::String(_));
        if index > 0 && !is_text && !after_text {
            printer.push(" ")?;
        }
        printer.value(value, &Spec::of('v'), 0)?;
        after_text = is_text;
    }
    printer.finish(session)
}

/// Formats as Go's `Sprintln`: a space between all, and an end of line.
pub(crate) fn print_line(session: &mut Session, values: &[Value]) -> Result<String, CallError> {
    let mut printer = Printer::new(session);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.push(" ")?;
        }
        printer.value(value, &Spec::of('v'), 0)?;
    }
    printer.push("\n")?;
    printer.finish(session)
}

/// A verb with its flags.
#[derive(Clone, Default)]
struct Spec {
    verb: char,
    minus: bool,
    plus: bool,
    sharp: bool,
    /// `%#v`: Go syntax.
    syntax: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Spec {
    /// Tells whether a value is written as it is.
    fn is_plain(&self) -> bool {
        self.width.is_none()
            && self.precision.is_none()
            && !(self.plus || self.sharp || self.syntax || self.space)
    }

    fn of(verb: char) -> Self {
        Self { verb, ..Self::default() }
    }
}

/// The text on its way, bounded by what the render may still build.
struct Printer {
    out: String,
    most: usize,
}

impl Printer {
    fn new(session: &Session) -> Self {
        Self { out: String::new(), most: session.memory_left() }
    }

    fn finish(self, session: &mut Session) -> Result<String, CallError> {
        session.memory(self.out.len())?;
        Ok(self.out)
    }

    /// Fails when there is no room for `bytes` more.
    fn room(&self, bytes: usize) -> Result<(), CallError> {
        if bytes > self.most.saturating_sub(self.out.len()) {
            return Err(CallError::Limit("the values take more memory than they may".to_owned()));
        }
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), CallError> {
        self.room(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    fn value(&mut self, value: &Value, spec: &Spec, depth: u16) -> Result<(), CallError> {
        if depth > VALUE_DEPTH {
            return Err(CallError::Limit("the value is nested too deeply, or holds itself".to_owned()));
        }
        if spec.verb == 'T' {
            if matches!(value, Value::Nil) {
                return self.padded("<nil>", spec);
            }
            return self.padded(&cut(value.type_name(), spec), spec);
        }
        match (value, spec.verb) {
            (Value::String(text), 'v' | 's') if spec.is_plain() => self.push(text),
            (Value::Int(number), 'v' | 'd') if spec.is_plain() => {
                self.push(itoa::Buffer::new().format(*number))
            }
            // It is for errors that wrap errors, and fits nothing else.
            (_, 'w') => self.mismatch(value, spec),
            (Value::Nil, _) if depth > 0 => {
                self.push(if spec.syntax { "interface {}(nil)" } else { "<nil>" })
            }
            (Value::Nil, 'v') => self.padded("<nil>", spec),
            (Value::Nil, verb) => self.push(&format!("%!{verb}(<nil>)")),
            (Value::Bool(truth), 't' | 'v') => self.padded(if *truth { "true" } else { "false" }, spec),
            (Value::Int(number), _) => self.int(*number, value, spec),
            (Value::Float(number), _) => self.float(*number, value, spec),
            (Value::String(text), _) => self.string(text, value, spec),
            (Value::List(list), _) => self.list(list.items(), spec, depth),
            (Value::Map(map), _) => self.map(&map.entries(), spec, depth),
            (Value::Object(object), 'v' | 's') => self.padded(&object.text(), spec),
            _ => self.mismatch(value, spec),
        }
    }

    fn list(&mut self, items: &[Value], spec: &Spec, depth: u16) -> Result<(), CallError> {
        let syntax = spec.syntax;
        self.push(if syntax { "[]interface {}{" } else { "[" })?;
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.push(if syntax { ", " } else { " " })?;
            }
            self.value(item, spec, depth + 1)?;
        }
        self.push(if syntax { "}" } else { "]" })
    }

    fn map(&mut self, entries: &[(Arc<str>, Value)], spec: &Spec, depth: u16) -> Result<(), CallError> {
        let syntax = spec.syntax;
        self.push(if syntax { "map[string]interface {}{" } else { "map[" })?;
        for (index, (key, item)) in entries.iter().enumerate() {
            if index > 0 {
                self.push(if syntax { ", " } else { " " })?;
            }
            self.value(&Value::String(key.clone()), spec, depth + 1)?;
            self.push(":")?;
            self.value(item, spec, depth + 1)?;
        }
        self.push(if syntax { "}" } else { "]" })
    }

    fn int(&mut self, number: i64, value: &Value, spec: &Spec) -> Result<(), CallError> {
        let code = u32::try_from(number).ok().and_then(char::from_u32);
        match spec.verb {
            'v' | 'd' => self.integer(number, 10, "", spec),
            'b' => self.integer(number, 2, if spec.sharp { "0b" } else { "" }, spec),
            'o' => self.integer(number, 8, if spec.sharp { "0" } else { "" }, spec),
            'O' => self.integer(number, 8, if spec.sharp { "0o0" } else { "0o" }, spec),
            'x' => self.integer(number, 16, if spec.sharp { "0x" } else { "" }, spec),
            'X' => self.integer(number, 16, if spec.sharp { "0X" } else { "" }, spec),
            'c' => self.padded(&code.unwrap_or('\u{fffd}').to_string(), spec),
            'q' => {
                let quoted = quote::go(&code.unwrap_or('\u{fffd}').to_string(), '\'', spec.plus);
                self.padded(&quoted, spec)
            }
            'U' => {
                let least = spec.precision.unwrap_or(4).max(4);
                let digits = format!("{number:X}");
                let mut shown = format!("U+{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
                if let Some(character) = code.filter(|code| spec.sharp && quote::is_print(*code)) {
                    quote::put(&mut shown, format_args!(" '{character}'"));
                }
                self.padded(&shown, &Spec { zero: false, ..spec.clone() })
            }
            #[expect(clippy::cast_precision_loss, reason = "this is what the verb asks for")]
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => self.float(number as f64, value, spec),
            _ => self.mismatch(value, spec),
        }
    }

    fn integer(&mut self, number: i64, radix: u32, prefix: &str, spec: &Spec) -> Result<(), CallError> {
        let magnitude = number.unsigned_abs();
        let digits = match (radix, spec.verb) {
            (2, _) => format!("{magnitude:b}"),
            (8, _) => format!("{magnitude:o}"),
            (16, 'X') => format!("{magnitude:X}"),
            (16, _) => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        let sign = sign(number < 0, spec);
        let digits = match spec.precision {
            Some(0) if number == 0 => return self.padded("", &Spec { zero: false, ..spec.clone() }),
            Some(precision) => format!("{}{digits}", "0".repeat(precision.saturating_sub(digits.len()))),
            None if spec.zero => {
                let width = spec.width.unwrap_or(0).saturating_sub(sign.len());
                format!("{}{digits}", "0".repeat(width.saturating_sub(digits.len())))
            }
            None => digits,
        };
        let prefix = match prefix {
            "0" if digits.starts_with('0') => "",
            "0o0" if digits.starts_with('0') => "0o",
            _ => prefix,
        };
        self.padded(
            &format!("{sign}{prefix}{digits}"),
            &Spec { zero: false, precision: None, ..spec.clone() },
        )
    }

    fn float(&mut self, number: f64, value: &Value, spec: &Spec) -> Result<(), CallError> {
        let (verb, precision) = match spec.verb {
            'v' => ('g', spec.precision),
            'g' | 'G' => (spec.verb, spec.precision),
            'e' | 'E' | 'f' | 'F' => (spec.verb, Some(spec.precision.unwrap_or(6))),
            'd' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'U' if is_whole(number) => {
                #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
                return self.int(number as i64, value, spec);
            }
            'b' | 'x' | 'X' => (spec.verb, spec.precision),
            _ => return self.mismatch(value, spec),
        };
        let mut digits = float::format(number, verb, precision);
        if spec.sharp && verb != 'b' && number.is_finite() {
            digits = float::with_dot(&digits, verb, precision);
        }
        let infinite = number.is_infinite() && !spec.space;
        let sign = if number.is_nan() { sign(false, spec) } else { sign(number.is_sign_negative(), spec) };
        let sign = if infinite && sign.is_empty() { "+" } else { sign };
        let width = spec.width.unwrap_or(0).saturating_sub(sign.len());
        let zeros = if spec.zero && number.is_finite() { width.saturating_sub(digits.len()) } else { 0 };
        let shown = format!("{sign}{}{digits}", "0".repeat(zeros));
        self.padded(&shown, &Spec { zero: false, precision: None, ..spec.clone() })
    }

    fn string(&mut self, text: &str, value: &Value, spec: &Spec) -> Result<(), CallError> {
        match spec.verb {
            'v' if spec.syntax => self.padded(&quote::go(&cut(text, spec), '"', false), spec),
            'v' | 's' => self.padded(&cut(text, spec), spec),
            'q' => {
                let text = cut(text, spec);
                let raw = spec.sharp && !text.contains(|it: char| it == '`' || it.is_control() && it != '\t');
                let quoted = if raw { format!("`{text}`") } else { quote::go(&text, '"', spec.plus) };
                self.padded(&quoted, spec)
            }
            'x' | 'X' => {
                let bytes = text.as_bytes();
                let bytes = bytes.get(..spec.precision.unwrap_or(bytes.len())).unwrap_or(bytes);
                self.padded(&hexadecimal(bytes, spec), &Spec { precision: None, ..spec.clone() })
            }
            _ => self.mismatch(value, spec),
        }
    }

    /// Writes `text` filled up to the width.
    fn padded(&mut self, text: &str, spec: &Spec) -> Result<(), CallError> {
        let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
        self.room(missing)?;
        let fill = if spec.zero { "0" } else { " " }.repeat(missing);
        if spec.minus {
            self.push(text)?;
            self.push(&fill)
        } else {
            self.push(&fill)?;
            self.push(text)
        }
    }

    /// Writes a value that the verb does not fit; the flags stay.
    fn mismatch(&mut self, value: &Value, spec: &Spec) -> Result<(), CallError> {
        self.push(&format!("%!{}(", spec.verb))?;
        self.typed(value, &Spec { verb: 'v', ..spec.clone() })?;
        self.push(")")
    }

    fn typed(&mut self, value: &Value, spec: &Spec) -> Result<(), CallError> {
        if matches!(value, Value::Nil) {
            return self.push("<nil>");
        }
        self.push(value.type_name())?;
        self.push("=")?;
        self.value(value, spec, 0)
    }
}

/// Shortens text to the precision.
fn cut(text: &str, spec: &Spec) -> String {
    match spec.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text.to_owned(),
    }
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

/// Returns whether the number has no fraction and fits an integer.
pub(crate) fn is_whole(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0
}

fn hexadecimal(bytes: &[u8], spec: &Spec) -> String {
    let mut out = String::new();
    let prefix = match (spec.sharp, spec.verb) {
        (false, _) => "",
        (true, 'X') => "0X",
        (true, _) => "0x",
    };
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && spec.space {
            out.push(' ');
        }
        if index == 0 || spec.space {
            out.push_str(prefix);
        }
        if spec.verb == 'X' {
            quote::put(&mut out, format_args!("{byte:02X}"));
        } else {
            quote::put(&mut out, format_args!("{byte:02x}"));
        }
    }
    out
}

//! The text that `printf` is given: directives with flags, widths, precisions and argument numbers.

use super::{Printer, Spec};
use crate::error::CallError;
use crate::limits::Session;
use crate::value::Value;

/// Widths and precisions above this are refused, as in Go.
const WIDTH: usize = 1_000_000;

/// Formats as Go's `Sprintf`; what does not fit shows up in the text, as in Go.
pub(crate) fn printf(session: &mut Session, format: &str, args: &[Value]) -> Result<String, CallError> {
    let mut printer = Printer::new(session);
    let mut reader = Reader { rest: format, args, at: 0, reordered: false, good: true };
    while let Some((plain, directive)) = reader.rest.split_once('%') {
        printer.push(plain)?;
        reader.rest = directive;
        reader.directive(&mut printer)?;
    }
    printer.push(reader.rest)?;
    if !reader.reordered && reader.at < args.len() {
        printer.push("%!(EXTRA ")?;
        for (index, value) in args.iter().skip(reader.at).enumerate() {
            if index > 0 {
                printer.push(", ")?;
            }
            printer.typed(value, &Spec::of('v'))?;
        }
        printer.push(")")?;
    }
    printer.finish(session)
}

/// The format text on its way.
struct Reader<'f> {
    rest: &'f str,
    args: &'f [Value],
    at: usize,
    reordered: bool,
    good: bool,
}

impl Reader<'_> {
    /// Reads one directive behind its percent sign and prints it.
    fn directive(&mut self, printer: &mut Printer) -> Result<(), CallError> {
        let mut spec = Spec::default();
        self.good = true;
        while let Some(flag) = self.take(|next| matches!(next, '#' | '0' | '+' | '-' | ' ')) {
            match flag {
                '#' => spec.sharp = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                _ => spec.space = true,
            }
        }
        let mut indexed = self.index();
        if self.take(|next| next == '*').is_some() {
            indexed = false;
            match self.star() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => printer.push("%!(BADWIDTH)")?,
            }
        } else {
            spec.width = self.number();
            if indexed && spec.width.is_some() {
                self.good = false;
            }
        }
        if self.take(|next| next == '.').is_some() {
            if indexed {
                self.good = false;
            }
            indexed = self.index();
            if self.take(|next| next == '*').is_some() {
                indexed = false;
                match self.star() {
                    Some(precision) if precision >= 0 => spec.precision = usize::try_from(precision).ok(),
                    _ => printer.push("%!(BADPREC)")?,
                }
            } else {
                spec.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !indexed {
            self.index();
        }
        // Go lets the minus win over the zero.
        spec.zero &= !spec.minus;
        self.verb(printer, spec)
    }

    fn verb(&mut self, printer: &mut Printer, mut spec: Spec) -> Result<(), CallError> {
        let Some(verb) = self.take(|_| true) else { return printer.push("%!(NOVERB)") };
        spec.verb = verb;
        if matches!(verb, 'v' | 'w') {
            spec.syntax = std::mem::take(&mut spec.sharp);
            spec.plus = false;
        }
        if verb == '%' {
            return printer.push("%");
        }
        if !self.good {
            return printer.push(&format!("%!{verb}(BADINDEX)"));
        }
        let Some(value) = self.args.get(self.at) else {
            return printer.push(&format!("%!{verb}(MISSING)"));
        };
        self.at += 1;
        // Before anything so long is made.
        printer.room(spec.width.unwrap_or(0).max(spec.precision.unwrap_or(0)))?;
        printer.value(value, &spec, 0)
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let next = self.rest.chars().next().filter(|next| wanted(*next))?;
        self.rest = self.rest.get(next.len_utf8()..)?;
        Some(next)
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.take(|next| next.is_ascii_digit()).and_then(|digit| digit.to_digit(10)) {
            let before: usize = number.unwrap_or(0);
            if before > WIDTH {
                // Go gives up on all that follows.
                self.rest = "";
                return None;
            }
            number = Some(before * 10 + digit as usize);
        }
        number
    }

    /// Reads `[n]`, which chooses the next argument.
    fn index(&mut self) -> bool {
        let Some(inner) = self.rest.strip_prefix('[') else { return false };
        self.reordered = true;
        let Some((digits, rest)) = inner.split_once(']') else {
            self.rest = inner;
            self.good = false;
            return false;
        };
        self.rest = rest;
        match digits.parse::<usize>() {
            Ok(number) if !digits.starts_with('+') && (1..=self.args.len()).contains(&number) => {
                self.at = number - 1;
                true
            }
            _ => {
                self.good = false;
                false
            }
        }
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.args.get(self.at);
        self.at += 1;
        match value {
            Some(Value::Int(number)) if number.unsigned_abs() <= WIDTH as u64 => Some(*number),
            _ => None,
        }
    }
}

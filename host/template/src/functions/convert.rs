//! Defaults, conversions and questions about types.

use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use base64::{Engine as _, alphabet};
use sha2::{Digest, Sha256};

use super::{Arguments, Context, Function, plain_text, text_list, texts};
use crate::error::CallError;
use crate::quote;
use crate::value::Value;

/// Base64 as Go reads it: bits behind the last byte do not count.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));

pub(super) const FUNCTIONS: &[Function] = &[
    Function::least("default", 1, default),
    Function::exact("empty", 1, |_, args| Ok(Value::Bool(!Arguments::new(args).value(0).is_truthy()))),
    Function::least("coalesce", 0, |_, args| {
        Ok(args.iter().find(|value| value.is_truthy()).cloned().unwrap_or(Value::Nil))
    }),
    Function::least("all", 0, |_, args| Ok(Value::Bool(args.iter().all(Value::is_truthy)))),
    Function::least("any", 0, |_, args| Ok(Value::Bool(args.iter().any(Value::is_truthy)))),
    Function::exact("ternary", 3, |_, args| {
        let arguments = Arguments::new(args);
        Ok(arguments.value(if arguments.bool(2)? { 0 } else { 1 }).clone())
    }),
    Function::exact("fail", 1, |_, args| Err(Arguments::new(args).text(0)?.into())),
    Function::exact("toString", 1, |context, args| {
        let text = plain_text(context, Arguments::new(args).value(0))?;
        context.session.text(text)
    }),
    Function::exact("toStrings", 1, |context, args| {
        let texts = texts(context, Arguments::new(args).value(0))?;
        text_list(context, texts)
    }),
    Function::exact("typeOf", 1, |_, args| Ok(Arguments::new(args).value(0).type_name().into())),
    Function::exact("kindOf", 1, |_, args| Ok(Arguments::new(args).value(0).kind_name().into())),
    Function::exact("typeIs", 2, type_is),
    Function::exact("typeIsLike", 2, type_is),
    Function::exact("kindIs", 2, |_, args| {
        let arguments = Arguments::new(args);
        Ok(Value::Bool(arguments.text(0)? == arguments.value(1).kind_name()))
    }),
    Function::least("quote", 0, |context, args| quoted(context, args, |text| quote::go(text, '"', false))),
    Function::least("squote", 0, |context, args| quoted(context, args, |text| format!("'{text}'"))),
    Function::exact("b64enc", 1, |context, args| {
        let text = Arguments::new(args).text(0)?;
        context.session.memory(text.len().saturating_mul(2))?;
        Ok(STANDARD.encode(text).into())
    }),
    Function::exact("b64dec", 1, |context, args| {
        let text = Arguments::new(args).text(0)?;
        context.session.memory(text.len())?;
        let plain: String = text.chars().filter(|next| !matches!(next, '\r' | '\n')).collect();
        let decoded = LENIENT.decode(plain);
        let decoded = decoded.map_err(|_| format!("illegal base64 data at input byte {}", corrupt_at(text)));
        Ok(decoded.map_or_else(Value::from, |bytes| String::from_utf8_lossy(&bytes).into_owned().into()))
    }),
    Function::exact("sha256sum", 1, |context, args| {
        let text = Arguments::new(args).text(0)?;
        context.session.steps(text.len() / 16)?;
        let mut out = String::with_capacity(64);
        for byte in Sha256::digest(text) {
            quote::put(&mut out, format_args!("{byte:02x}"));
        }
        Ok(out.into())
    }),
];

/// Returns where Go gives up on a text that is no base64.
fn corrupt_at(text: &str) -> usize {
    let mut bytes = text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'\r' | b'\n')).peekable();
    let mut in_four = 0;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => in_four = (in_four + 1) % 4,
            b'=' if in_four == 2 && bytes.peek().is_none() => return text.len(),
            b'=' if in_four == 2 && bytes.next_if(|(_, next)| *next == b'=').is_none() => return at,
            b'=' if in_four >= 2 => return bytes.next().map_or(text.len(), |(behind, _)| behind),
            _ => return at,
        }
    }
    text.len() - in_four
}

fn default(_: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    let given = arguments.value(1);
    Ok(if given.is_truthy() { given.clone() } else { arguments.value(0).clone() })
}

fn type_is(_: &mut Context<'_>, args: &[Value]) -> Result<Value, CallError> {
    let arguments = Arguments::new(args);
    Ok(Value::Bool(arguments.text(0)? == arguments.value(1).type_name()))
}

fn quoted(context: &mut Context<'_>, args: &[Value], quote: fn(&str) -> String) -> Result<Value, CallError> {
    let mut words = Vec::new();
    for value in args.iter().filter(|value| !matches!(value, Value::Nil)) {
        let text = plain_text(context, value)?;
        context.session.memory(text.len().saturating_mul(6))?;
        words.push(quote(&text));
    }
    Ok(words.join(" ").into())
}

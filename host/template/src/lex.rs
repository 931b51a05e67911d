//! Template text to tokens, with Go's rules for delimiters, trim markers, comments and what may follow what.

use std::ops::Range;

/// The kinds of tokens. Keywords and names are told apart by the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    /// A name or keyword, without a dot or dollar before it.
    Word,
    /// `.name`
    Field,
    /// `$` or `$name`
    Variable,
    Dot,
    Number,
    /// `'c'`
    Character,
    Quoted,
    Raw,
    Assign,
    Declare,
    Pipe,
    Comma,
    LeftParenthesis,
    RightParenthesis,
    /// Any other printable ASCII character; never part of a valid template.
    Other,
    End,
}

/// A token and where it stands in the source. For text the range leaves out what was trimmed.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

/// What the lexer could not accept, and where.
#[derive(Debug)]
pub(crate) struct LexError {
    pub(crate) offset: usize,
    pub(crate) message: String,
    /// Where the action begins that is still open at the end.
    pub(crate) opened: Option<usize>,
}

/// The marks around actions, `{{` and `}}` unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delimiters {
    pub(crate) start: String,
    pub(crate) end: String,
}

impl Delimiters {
    /// Makes a pair; an empty text means the usual mark, as in Go (drp-api.md 10.4).
    pub fn new(start: &str, end: &str) -> Self {
        let or = |text: &str, usual: &str| if text.is_empty() { usual.to_owned() } else { text.to_owned() };
        Self { start: or(start, "{{"), end: or(end, "}}") }
    }
}

impl Default for Delimiters {
    fn default() -> Self {
        Self::new("", "")
    }
}

/// Splits `source` into tokens; the last one is [`Kind::End`].
pub(crate) fn tokens(source: &str, delimiters: &Delimiters) -> Result<Vec<Token>, LexError> {
    let mut lexer = Lexer { source, delimiters, at: 0, parentheses: 0, tokens: Vec::new() };
    lexer.text()?;
    lexer.push(Kind::End, source.len());
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    source: &'s str,
    delimiters: &'s Delimiters,
    at: usize,
    parentheses: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, kind: Kind, from: usize) {
        self.tokens.push(Token { kind, range: from..self.at });
    }

    fn error<T>(&self, offset: usize, message: impl Into<String>) -> Result<T, LexError> {
        Err(LexError { offset, message: message.into(), opened: None })
    }

    /// Reads text and the actions between it, up to the end of the source.
    fn text(&mut self) -> Result<(), LexError> {
        let mut trim_start = false;
        loop {
            let from = self.at;
            let found = self.rest().find(&self.delimiters.start);
            let length = found.unwrap_or(self.rest().len());
            let after = from + length + self.delimiters.start.len();
            let trim_end = found.is_some() && left_trim(self.source.get(after..).unwrap_or_default());
            let whole = self.source.get(from..from + length).unwrap_or_default();
            let mut start = from;
            let mut kept = whole;
            if trim_start {
                kept = kept.trim_start_matches(is_space);
                start += whole.len() - kept.len();
            }
            if trim_end {
                kept = kept.trim_end_matches(is_space);
            }
            self.at = start + kept.len();
            if !kept.is_empty() {
                self.push(Kind::Text, start);
            }
            self.at = from + length;
            if found.is_none() {
                return Ok(());
            }
            trim_start = self.action(after, trim_end)?;
        }
    }

    /// Reads one action or comment. Returns whether the text behind it loses its leading space.
    fn action(&mut self, after: usize, trimmed: bool) -> Result<bool, LexError> {
        let left = self.at;
        self.at = if trimmed { after + 2 } else { after };
        if self.rest().starts_with("/*") {
            return self.comment();
        }
        // The range covers the mark alone, so that an error at the action points at its beginning.
        self.tokens.push(Token { kind: Kind::LeftDelimiter, range: left..after });
        self.parentheses = 0;
        loop {
            if let Some(trim) = self.right_delimiter() {
                if self.parentheses > 0 {
                    return self.error(self.at, "unclosed left paren");
                }
                let from = self.at;
                self.at += self.delimiters.end.len() + if trim { 2 } else { 0 };
                self.push(Kind::RightDelimiter, from);
                return Ok(trim);
            }
            if self.rest().is_empty() {
                return self.error(left, "unclosed action");
            }
            self.inside()?;
        }
    }

    fn comment(&mut self) -> Result<bool, LexError> {
        let from = self.at;
        let Some(length) = self.rest().find("*/") else { return self.error(from, "unclosed comment") };
        self.at += length + 2;
        let Some(trim) = self.right_delimiter() else {
            return self.error(from, "comment ends before closing delimiter");
        };
        self.at += self.delimiters.end.len() + if trim { 2 } else { 0 };
        Ok(trim)
    }

    /// Returns whether a right delimiter begins here, and whether it trims.
    fn right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with(&self.delimiters.end) {
            return Some(false);
        }
        let marked = rest.strip_prefix(is_space)?.strip_prefix('-')?;
        marked.starts_with(&self.delimiters.end).then_some(true)
    }

    /// Reads one token inside of an action.
    fn inside(&mut self) -> Result<(), LexError> {
        let from = self.at;
        let Some(first) = self.peek() else { return Ok(()) };
        self.at += first.len_utf8();
        let kind = match first {
            _ if is_space(first) => return self.space(from),
            '"' => return self.quoted(from, '"', Kind::Quoted, "unterminated quoted string"),
            '\'' => return self.quoted(from, '\'', Kind::Character, "unterminated character constant"),
            '`' => return self.raw(from),
            '$' => return self.named(from, Kind::Variable),
            '.' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => {
                return self.named(from, if self.terminated() { Kind::Dot } else { Kind::Field });
            }
            '.' | '+' | '-' | '0'..='9' => return self.number(from),
            _ if is_word(first) => return self.named(from, Kind::Word),
            ':' => {
                if self.peek() != Some('=') {
                    return self.error(from, "expected :=");
                }
                self.at += 1;
                Kind::Declare
            }
            '=' => Kind::Assign,
            '|' => Kind::Pipe,
            ',' => Kind::Comma,
            '(' => {
                self.parentheses += 1;
                Kind::LeftParenthesis
            }
            ')' => {
                if self.parentheses == 0 {
                    return self.error(from, "unexpected right paren");
                }
                self.parentheses -= 1;
                Kind::RightParenthesis
            }
            ' '..='~' => Kind::Other,
            _ => return self.error(from, format!("unrecognized character in action: {}", unicode(first))),
        };
        self.push(kind, from);
        Ok(())
    }

    fn space(&mut self, from: usize) -> Result<(), LexError> {
        self.at = from;
        while self.peek().is_some_and(is_space) && self.right_delimiter() != Some(true) {
            self.at += 1;
        }
        self.push(Kind::Space, from);
        Ok(())
    }

    /// Reads the rest of a name of any kind; a lone `.` or `$` is one without it.
    fn named(&mut self, from: usize, kind: Kind) -> Result<(), LexError> {
        let length = self.rest().find(|next| !is_word(next)).unwrap_or(self.rest().len());
        self.at += length;
        if !self.terminated() {
            let bad = self.peek().map(unicode).unwrap_or_default();
            return self.error(self.at, format!("bad character {bad}"));
        }
        self.push(kind, from);
        Ok(())
    }

    /// Returns whether a name may end here.
    fn terminated(&self) -> bool {
        let ends = |next| is_space(next) || matches!(next, '.' | ',' | '|' | ':' | ')' | '(');
        self.peek().is_none_or(ends) || self.rest().starts_with(&self.delimiters.end)
    }

    fn quoted(&mut self, from: usize, mark: char, kind: Kind, message: &str) -> Result<(), LexError> {
        loop {
            let next = self.peek();
            self.at += next.map_or(0, char::len_utf8);
            match next {
                Some('\\') if self.peek().is_some_and(|escaped| escaped != '\n') => {
                    self.at += self.peek().map_or(0, char::len_utf8);
                }
                None | Some('\n' | '\\') => return self.error(from, message),
                Some(end) if end == mark => break,
                Some(_) => {}
            }
        }
        self.push(kind, from);
        Ok(())
    }

    fn raw(&mut self, from: usize) -> Result<(), LexError> {
        let Some(length) = self.rest().find('`') else {
            return self.error(from, "unterminated raw quoted string");
        };
        self.at += length + 1;
        self.push(Kind::Raw, from);
        Ok(())
    }

    /// Reads what may be a number; the parser decides whether it is one.
    fn number(&mut self, from: usize) -> Result<(), LexError> {
        self.at = from;
        self.take("+-", 1);
        let prefix = self.rest().get(..2).unwrap_or_default().to_ascii_lowercase();
        let (digits, exponent) = match prefix.as_str() {
            "0x" => ("0123456789abcdefABCDEF_", "pP"),
            "0o" => ("01234567_", ""),
            "0b" => ("01_", ""),
            _ => ("0123456789_", "eE"),
        };
        if matches!(prefix.as_str(), "0x" | "0o" | "0b") {
            self.at += 2;
        }
        self.take(digits, usize::MAX);
        if self.take(".", 1) {
            self.take(digits, usize::MAX);
        }
        if self.take(exponent, 1) {
            self.take("+-", 1);
            self.take("0123456789_", usize::MAX);
        }
        if let Some(next) = self.peek().filter(|next| is_word(*next)) {
            self.at += next.len_utf8();
            let text = self.source.get(from..self.at).unwrap_or_default();
            return self.error(from, format!("bad number syntax: \"{text}\""));
        }
        self.push(Kind::Number, from);
        Ok(())
    }

    fn take(&mut self, any: &str, most: usize) -> bool {
        let count = self.rest().chars().take(most).take_while(|next| any.contains(*next)).count();
        self.at += count;
        count > 0
    }
}

/// Returns whether `after`, the source behind a left delimiter, begins with a trim marker.
fn left_trim(after: &str) -> bool {
    after.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_space))
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphabetic() || character.is_numeric()
}

/// Shows a character as Go's `%#U` does.
pub(crate) fn unicode(character: char) -> String {
    if character.is_control() {
        format!("U+{:04X}", u32::from(character))
    } else {
        format!("U+{:04X} '{character}'", u32::from(character))
    }
}

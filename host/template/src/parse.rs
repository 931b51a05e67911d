//! Tokens to nodes, refusing what Go refuses.

mod expression;

use std::sync::Arc;

use crate::ast::{Body, Branches, Node, Span};
use crate::lex::{Delimiters, Kind, LexError, Token, tokens};
use crate::literal;

/// Actions and parentheses inside each other. Go has no such bound; packs stay below ten.
const NESTING: usize = 60;

const KEYWORDS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// A parsed text: what stands outside of every `define`, and the defined templates in order.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) body: Body,
    pub(crate) defines: Vec<(Arc<str>, Body)>,
}

/// Parses `source`, the template `name`.
pub(crate) fn parse(name: &str, source: &str, delimiters: &Delimiters) -> Result<Parsed, LexError> {
    let tokens = tokens(source, delimiters)?;
    let mut parser = Parser {
        source,
        tokens,
        at: 0,
        variables: vec!["$".into()],
        ranges: 0,
        nesting: 0,
        open: Vec::new(),
        defines: Vec::new(),
    };
    let body = parser.top()?;
    let whole = !is_blank(&body);
    parser.resolve_defines(name, whole)?;
    Ok(Parsed { body, defines: parser.defines.into_iter().map(|(name, body, _)| (name, body)).collect() })
}

/// Returns whether there is nothing but white space, which Go takes for no template at all.
pub(crate) fn is_blank(body: &Body) -> bool {
    body.iter().all(|node| matches!(node, Node::Text(text, _) if text.trim().is_empty()))
}

struct Parser<'s> {
    source: &'s str,
    tokens: Vec<Token>,
    at: usize,
    variables: Vec<Arc<str>>,
    ranges: usize,
    nesting: usize,
    /// Where the actions begin that wait for their end.
    open: Vec<usize>,
    defines: Vec<(Arc<str>, Body, usize)>,
}

/// What ended a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    End,
    Else,
}

type Parse<T> = Result<T, LexError>;

impl<'s> Parser<'s> {
    fn top(&mut self) -> Parse<Body> {
        let mut body = Body::new();
        while self.peek().kind != Kind::End {
            if self.define()? {
                continue;
            }
            match self.item()? {
                Ok(node) => body.push(node),
                Err((stop, offset)) => {
                    let word = if stop == Stop::End { "end" } else { "else" };
                    return fail(offset, format!("unexpected {{{{{word}}}}}"));
                }
            }
        }
        Ok(body)
    }

    /// Reads a `define` if one stands here.
    fn define(&mut self) -> Parse<bool> {
        let from = self.at;
        if self.next().kind == Kind::LeftDelimiter {
            let token = self.next_solid();
            if token.kind == Kind::Word && self.word(&token) == "define" {
                let name = self.template_name("define clause")?;
                self.expect(Kind::RightDelimiter, "define clause")?;
                self.definition(name, token.range.start, "define clause")?;
                return Ok(true);
            }
        }
        self.at = from;
        Ok(false)
    }

    /// Reads the body of a `define` or `block`, which sees no variable of its surroundings.
    fn definition(&mut self, name: Arc<str>, offset: usize, context: &str) -> Parse<()> {
        self.open.push(offset);
        let outer = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, stop, at) = self.body()?;
        if stop != Stop::End {
            return fail(at, format!("unexpected {{{{else}}}} in {context}"));
        }
        self.open.pop();
        self.variables = outer;
        self.ranges = ranges;
        self.defines.push((name, body, offset));
        Ok(())
    }

    /// Drops empty definitions of a name that has a full one; two full ones are an error.
    fn resolve_defines(&mut self, own: &str, whole: bool) -> Parse<()> {
        let mut kept: Vec<(Arc<str>, Body, usize)> = Vec::new();
        for (name, body, offset) in std::mem::take(&mut self.defines) {
            let twice = |name: &str| fail(offset, format!("multiple definition of template \"{name}\""));
            if &*name == own && whole && !is_blank(&body) {
                return twice(&name);
            }
            match kept.iter_mut().find(|(other, ..)| *other == name) {
                None => kept.push((name, body, offset)),
                Some(_) if is_blank(&body) => {}
                Some(slot) if is_blank(&slot.1) => *slot = (name, body, offset),
                Some(_) => return twice(&name),
            }
        }
        self.defines = kept;
        Ok(())
    }

    /// Reads up to the `end` or `else` of the present level.
    fn body(&mut self) -> Parse<(Body, Stop, usize)> {
        self.deeper()?;
        let mut body = Body::new();
        while self.peek().kind != Kind::End {
            match self.item()? {
                Ok(node) => body.push(node),
                Err((stop, offset)) => {
                    self.nesting -= 1;
                    return Ok((body, stop, offset));
                }
            }
        }
        let opened = self.open.last().copied();
        Err(LexError { offset: self.source.len(), message: "unexpected EOF".to_owned(), opened })
    }

    fn deeper(&mut self) -> Parse<()> {
        self.nesting += 1;
        if self.nesting > NESTING {
            return fail(self.peek().range.start, "actions and parentheses are nested too deeply");
        }
        Ok(())
    }

    /// Reads text or an action; an `end` or `else` comes back as the inner error.
    fn item(&mut self) -> Parse<Result<Node, (Stop, usize)>> {
        let token = self.next();
        if token.kind == Kind::Text {
            return Ok(Ok(Node::Text(self.slice(&token.range).into(), token.range.start)));
        }
        let offset = token.range.start;
        let from = self.at;
        let word = self.next_solid();
        if word.kind == Kind::Word {
            match self.word(&word) {
                "end" => {
                    self.expect(Kind::RightDelimiter, "end")?;
                    return Ok(Err((Stop::End, offset)));
                }
                "else" => return Ok(Err((Stop::Else, offset))),
                "if" => return self.opened(offset, |parser| parser.branches("if").map(Node::If)).map(Ok),
                "with" => {
                    return self.opened(offset, |parser| parser.branches("with").map(Node::With)).map(Ok);
                }
                "range" => return self.opened(offset, Self::range).map(Ok),
                "template" => return Ok(Ok(self.include(offset)?)),
                "block" => return Ok(Ok(self.block(offset)?)),
                name @ ("break" | "continue") => return Ok(Ok(self.jump(name == "break", offset)?)),
                "define" => {
                    return fail(
                        word.range.start,
                        "unexpected {{define}}: it must stand outside of other actions",
                    );
                }
                _ => {}
            }
        }
        self.at = from;
        let pipe = self.pipeline("command", Kind::RightDelimiter)?;
        Ok(Ok(Node::Action(pipe)))
    }

    /// Reads an action that begins at `offset` and has an end of its own.
    fn opened(&mut self, offset: usize, read: impl FnOnce(&mut Self) -> Parse<Node>) -> Parse<Node> {
        self.open.push(offset);
        let node = read(self)?;
        self.open.pop();
        Ok(node)
    }

    fn jump(&mut self, breaks: bool, offset: usize) -> Parse<Node> {
        let name = if breaks { "break" } else { "continue" };
        self.expect(Kind::RightDelimiter, &format!("{{{{{name}}}}}"))?;
        if self.ranges == 0 {
            return fail(offset, format!("{{{{{name}}}}} outside {{{{range}}}}"));
        }
        Ok(if breaks { Node::Break } else { Node::Continue })
    }

    fn branches(&mut self, word: &str) -> Parse<Branches> {
        let scope = self.variables.len();
        let mut arms = Vec::new();
        let mut otherwise = None;
        loop {
            let pipe = self.pipeline(word, Kind::RightDelimiter)?;
            let (body, stop, _) = self.body()?;
            arms.push((pipe, body));
            if stop == Stop::End {
                break;
            }
            let from = self.at;
            let token = self.next_solid();
            if token.kind == Kind::Word && self.word(&token) == word {
                continue;
            }
            self.at = from;
            otherwise = Some(self.last_arm()?);
            break;
        }
        self.variables.truncate(scope);
        Ok(Branches { arms, otherwise })
    }

    fn range(&mut self) -> Parse<Node> {
        let scope = self.variables.len();
        let pipe = self.pipeline("range", Kind::RightDelimiter)?;
        self.ranges += 1;
        let (body, stop, _) = self.body()?;
        self.ranges -= 1;
        let otherwise = if stop == Stop::Else { Some(self.last_arm()?) } else { None };
        self.variables.truncate(scope);
        Ok(Node::Range { pipe, body, otherwise })
    }

    /// Reads what follows a plain `else`.
    fn last_arm(&mut self) -> Parse<Body> {
        self.expect(Kind::RightDelimiter, "else")?;
        let (body, stop, offset) = self.body()?;
        if stop == Stop::Else {
            return fail(offset, "expected end; found {{else}}");
        }
        Ok(body)
    }

    fn include(&mut self, offset: usize) -> Parse<Node> {
        let name = self.template_name("template clause")?;
        let from = self.at;
        let dot = if self.next_solid().kind == Kind::RightDelimiter {
            None
        } else {
            self.at = from;
            Some(self.pipeline("template clause", Kind::RightDelimiter)?)
        };
        Ok(Node::Include { name, dot, span: self.span_from(offset) })
    }

    fn block(&mut self, offset: usize) -> Parse<Node> {
        let name = self.template_name("block clause")?;
        let dot = Some(self.pipeline("block clause", Kind::RightDelimiter)?);
        let span = self.span_from(offset);
        self.definition(name.clone(), offset, "block clause")?;
        Ok(Node::Include { name, dot, span })
    }

    fn template_name(&mut self, context: &str) -> Parse<Arc<str>> {
        let token = self.next_solid();
        match token.kind {
            Kind::Quoted | Kind::Raw => self.string(&token),
            _ => self.unexpected(&token, context),
        }
    }

    fn string(&self, token: &Token) -> Parse<Arc<str>> {
        let text = self.slice(&token.range);
        if token.kind == Kind::Raw {
            return Ok(text.trim_matches('`').replace('\r', "").into());
        }
        match literal::quoted(text) {
            Some(value) => Ok(value.into()),
            None => fail(token.range.start, "invalid syntax in quoted string"),
        }
    }

    fn field_name(&self, token: &Token) -> Arc<str> {
        self.slice(&token.range).trim_start_matches('.').into()
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parse<Token> {
        let token = self.next_solid();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parse<T> {
        let text = match token.kind {
            Kind::End => "EOF".to_owned(),
            Kind::Word if KEYWORDS.contains(&self.slice(&token.range)) => {
                format!("<{}>", self.slice(&token.range))
            }
            Kind::RightDelimiter => "end of action".to_owned(),
            _ => format!("{:?}", self.slice(&token.range)),
        };
        fail(token.range.start, format!("unexpected {text} in {context}"))
    }

    fn word(&self, token: &Token) -> &'s str {
        self.slice(&token.range)
    }

    fn slice(&self, range: &Span) -> &'s str {
        self.source.get(range.clone()).unwrap_or_default()
    }

    /// Returns the span from `from` to the end of the last token that was read.
    fn span_from(&self, from: usize) -> Span {
        from..self
            .at
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last))
            .map_or(from, |token| token.range.end)
    }

    fn peek(&self) -> Token {
        let end = self.source.len();
        self.tokens.get(self.at).cloned().unwrap_or(Token { kind: Kind::End, range: end..end })
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
    }

    fn peek_solid(&mut self) -> Token {
        let from = self.at;
        let token = self.next_solid();
        self.at = from;
        token
    }

    fn next_solid(&mut self) -> Token {
        self.skip_space();
        self.next()
    }
}

fn fail<T>(offset: usize, message: impl Into<String>) -> Parse<T> {
    Err(LexError { offset, message: message.into(), opened: None })
}

//! Pipelines, their commands, and the operands of those.

use std::sync::Arc;

use super::{KEYWORDS, Parse, Parser, fail};
use crate::ast::{Command, Number, Operand, Pipe, Term};
use crate::functions::{self, Function};
use crate::lex::Kind;
use crate::literal;

impl Parser<'_> {
    /// Reads a pipeline and the token `end` behind it.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parse<Pipe> {
        let from = self.peek_solid().range.start;
        let mut pipe = Pipe { variables: Vec::new(), assigns: false, commands: Vec::new(), span: from..from };
        self.declarations(&mut pipe, context)?;
        loop {
            let before = self.at;
            let token = self.next_solid();
            match token.kind {
                kind if kind == end => break,
                Kind::Word
                | Kind::Dot
                | Kind::Field
                | Kind::Variable
                | Kind::Number
                | Kind::Character
                | Kind::Quoted
                | Kind::Raw
                | Kind::LeftParenthesis => {
                    self.at = before;
                    let command = self.command()?;
                    pipe.span.end = command.span.end;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        self.check_pipeline(&pipe, context)?;
        Ok(pipe)
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parse<()> {
        loop {
            let from = self.at;
            let variable = self.next_solid();
            if variable.kind != Kind::Variable {
                self.at = from;
                return Ok(());
            }
            let mark = self.next_solid();
            let name: Arc<str> = self.slice(&variable.range).into();
            match mark.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.assigns = mark.kind == Kind::Assign;
                    self.variables.push(name.clone());
                    pipe.variables.push(name);
                    return Ok(());
                }
                Kind::Comma => {
                    self.variables.push(name.clone());
                    pipe.variables.push(name);
                    if context != "range" || pipe.variables.len() > 1 {
                        return fail(variable.range.start, format!("too many declarations in {context}"));
                    }
                    if self.peek_solid().kind != Kind::Variable {
                        return fail(mark.range.start, "range can only initialize variables");
                    }
                }
                _ if !pipe.variables.is_empty() => {
                    return fail(variable.range.start, "range can only initialize variables");
                }
                _ => {
                    self.at = from;
                    return Ok(());
                }
            }
        }
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Parse<()> {
        if pipe.commands.is_empty() {
            return fail(pipe.span.start, format!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let plain = command.head.fields.is_empty();
            let dead = match command.head.term {
                Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::String(_) => plain,
                _ => false,
            };
            if dead {
                let stage = index + 1;
                return fail(command.span.start, format!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parse<Command> {
        let from = self.peek_solid().range.start;
        let mut operands = Vec::new();
        let mut end = from;
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                end = operand.span.end;
                operands.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => {}
                Kind::RightDelimiter | Kind::RightParenthesis => {
                    self.at -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return self.unexpected(&token, "operand"),
            }
        }
        let mut operands = operands.into_iter();
        let Some(head) = operands.next() else { return fail(from, "empty command") };
        Ok(Command { head, args: operands.collect(), span: from..end })
    }

    /// Reads a term with the fields behind it, if one stands here.
    fn operand(&mut self) -> Parse<Option<Operand>> {
        let from = self.peek().range.start;
        let Some((term, mut fields)) = self.term()? else { return Ok(None) };
        while self.peek().kind == Kind::Field {
            let token = self.next();
            if matches!(term, Term::Bool(_) | Term::String(_) | Term::Number(_) | Term::Nil)
                || matches!(term, Term::Dot) && fields.is_empty()
            {
                let text = self.source.get(from..token.range.start).unwrap_or_default();
                return fail(token.range.start, format!("unexpected . after term \"{text}\""));
            }
            fields.push(self.field_name(&token));
        }
        Ok(Some(Operand { term, fields, span: self.span_from(from) }))
    }

    fn term(&mut self) -> Parse<Option<(Term, Vec<Arc<str>>)>> {
        let token = self.next();
        let text = self.slice(&token.range);
        let term = match token.kind {
            Kind::Word => match text {
                "nil" => Term::Nil,
                "true" | "false" => Term::Bool(text == "true"),
                _ if KEYWORDS.contains(&text) => {
                    self.at -= 1;
                    return Ok(None);
                }
                _ => Term::Function(function(text, token.range.start)?),
            },
            Kind::Dot => Term::Dot,
            Kind::Variable => {
                if !self.variables.iter().any(|known| &**known == text) {
                    return fail(token.range.start, format!("undefined variable \"{text}\""));
                }
                Term::Variable(text.into())
            }
            Kind::Field => return Ok(Some((Term::Dot, vec![self.field_name(&token)]))),
            Kind::Number => match literal::number(text) {
                Some(number) => Term::Number(number),
                None => return fail(token.range.start, format!("bad number syntax: \"{text}\"")),
            },
            Kind::Character => match literal::character(text) {
                Some(code) => Term::Number(Number::Int(code)),
                None => return fail(token.range.start, format!("malformed character constant: {text}")),
            },
            Kind::Quoted | Kind::Raw => Term::String(self.string(&token)?),
            Kind::LeftParenthesis => {
                self.deeper()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParenthesis)?;
                self.nesting -= 1;
                Term::Pipe(Box::new(pipe))
            }
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        Ok(Some((term, Vec::new())))
    }
}

fn function(name: &str, offset: usize) -> Parse<&'static Function> {
    match functions::find(name) {
        Some(function) => Ok(function),
        None => fail(offset, format!("function \"{name}\" not defined")),
    }
}

//! Tokens to a tree: what stands behind an operand. Attributes, subscripts, calls, filters and tests.

use super::ast::{Arguments, Const, Expr, ExprKind};
use super::expressions::expr;
use super::lexer::Token;
use super::parser::Parser;
use super::raise::Outcome;

impl Parser {
    pub(super) fn postfix(&mut self, mut node: Expr) -> Outcome<Expr> {
        let mut chain = 0;
        loop {
            self.bounded(&mut chain)?;
            let line = self.line();
            node = if self.skip_op(".") {
                match self.next() {
                    Token::Name(name) => expr(line, ExprKind::Attribute(Box::new(node), name)),
                    Token::Int(number) => {
                        let index = expr(line, ExprKind::Const(Const::Int(number)));
                        expr(line, ExprKind::Item(Box::new(node), Box::new(index)))
                    }
                    _ => return self.fail("expected name or number"),
                }
            } else if self.is_op("[") {
                self.subscript(node)?
            } else if self.is_op("(") {
                let arguments = self.arguments()?;
                expr(line, ExprKind::Call(Box::new(node), arguments))
            } else {
                return Ok(node);
            };
        }
    }

    fn subscript(&mut self, node: Expr) -> Outcome<Expr> {
        let line = self.line();
        self.next();
        let node = Box::new(node);
        let mut parts = Vec::new();
        while !self.is_op("]") {
            if !parts.is_empty() {
                self.expect_op(",")?;
            }
            let start = if self.is_op(":") { None } else { Some(Box::new(self.expression()?)) };
            if let Some(index) = start {
                if !self.is_op(":") {
                    parts.push(*index);
                    continue;
                }
                return self.slice(line, node, Some(index), parts.is_empty());
            }
            return self.slice(line, node, None, parts.is_empty());
        }
        self.expect_op("]")?;
        let index = match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => {
                parts.extend(last);
                expr(line, ExprKind::Tuple(parts))
            }
        };
        Ok(expr(line, ExprKind::Item(node, Box::new(index))))
    }

    fn slice(
        &mut self,
        line: usize,
        node: Box<Expr>,
        start: Option<Box<Expr>>,
        alone: bool,
    ) -> Outcome<Expr> {
        self.expect_op(":")?;
        let mut bounds = [start, None, None];
        let ends = |parser: &Self| parser.is_op("]") || parser.is_op(",");
        if !self.is_op(":") && !ends(self) {
            bounds[1] = Some(Box::new(self.expression()?));
        }
        if self.skip_op(":") && !ends(self) {
            bounds[2] = Some(Box::new(self.expression()?));
        }
        if !alone || self.is_op(",") {
            return self.fail("a slice among several subscripts is not supported");
        }
        self.expect_op("]")?;
        Ok(expr(line, ExprKind::Slice(node, bounds)))
    }

    pub(super) fn filter_or_test(&mut self, mut node: Expr) -> Outcome<Expr> {
        let mut chain = 0;
        loop {
            self.bounded(&mut chain)?;
            let line = self.line();
            node = if self.is_op("|") {
                self.filters(Some(node), false)?
            } else if self.is_name("is") {
                self.test(node)?
            } else if self.is_op("(") {
                let arguments = self.arguments()?;
                expr(line, ExprKind::Call(Box::new(node), arguments))
            } else {
                return Ok(node);
            };
        }
    }

    /// A dotted name.
    fn dotted(&mut self) -> Outcome<String> {
        let mut name = self.name()?;
        while self.skip_op(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name)
    }

    /// Filters; the first has no `|` before it if it is `inline`.
    pub(super) fn filters(&mut self, node: Option<Expr>, mut inline: bool) -> Outcome<Expr> {
        let mut node = node.map(Box::new);
        let mut chain = 0;
        while inline || self.is_op("|") {
            self.bounded(&mut chain)?;
            if !inline {
                self.next();
            }
            inline = false;
            let line = self.line();
            let name = self.dotted()?;
            let arguments = if self.is_op("(") { self.arguments()? } else { Arguments::default() };
            node = Some(Box::new(expr(line, ExprKind::Filter(node, name, arguments))));
        }
        match node {
            Some(node) => Ok(*node),
            None => self.fail("expected a filter"),
        }
    }

    fn test(&mut self, node: Expr) -> Outcome<Expr> {
        let line = self.line();
        self.next();
        let negated = self.skip_name("not");
        let name = self.dotted()?;
        let ends = ["else", "or", "and"].iter().any(|end| self.is_name(end));
        let arguments = match self.token() {
            Token::Op("(") => self.arguments()?,
            Token::Name(_)
            | Token::Str(_)
            | Token::Int(_)
            | Token::Float(_)
            | Token::Op("[" | "{")
                if !ends =>
            {
                if self.is_name("is") {
                    return self.fail("You cannot chain multiple tests with is");
                }
                let argument = self.deeper(|parser| {
                    let argument = parser.primary()?;
                    parser.postfix(argument)
                })?;
                Arguments { positional: vec![argument], ..Arguments::default() }
            }
            _ => Arguments::default(),
        };
        let test = expr(line, ExprKind::Test(Box::new(node), name, arguments));
        Ok(if negated { expr(line, ExprKind::Not(Box::new(test))) } else { test })
    }

    fn arguments(&mut self) -> Outcome<Arguments> {
        self.expect_op("(")?;
        let mut out = Arguments::default();
        let mut first = true;
        while !self.is_op(")") {
            if !first {
                self.expect_op(",")?;
                if self.is_op(")") {
                    break;
                }
            }
            first = false;
            self.argument(&mut out)?;
        }
        self.expect_op(")")?;
        Ok(out)
    }

    fn argument(&mut self, out: &mut Arguments) -> Outcome<()> {
        let invalid = "invalid syntax for function call expression";
        let named = matches!(self.token(), Token::Name(_)) && *self.look() == Token::Op("=");
        if self.skip_op("*") {
            if out.rest.is_some() || out.named_rest.is_some() {
                return self.fail(invalid);
            }
            out.rest = Some(Box::new(self.expression()?));
        } else if self.skip_op("**") {
            if out.named_rest.is_some() {
                return self.fail(invalid);
            }
            out.named_rest = Some(Box::new(self.expression()?));
        } else if named {
            if out.named_rest.is_some() {
                return self.fail(invalid);
            }
            let name = self.name()?;
            self.expect_op("=")?;
            if out.named.iter().any(|(of, _)| *of == name) {
                return self.fail(format!("keyword argument repeated: {name}"));
            }
            out.named.push((name, self.expression()?));
        } else {
            if out.rest.is_some() || out.named_rest.is_some() || !out.named.is_empty() {
                return self.fail(invalid);
            }
            out.positional.push(self.expression()?);
        }
        Ok(())
    }
}

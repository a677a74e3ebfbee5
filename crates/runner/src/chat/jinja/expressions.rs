//! Tokens to a tree: expressions, by the precedence of `jinja2.parser`.

use super::ast::{BinaryOp, CompareOp, Const, Expr, ExprKind};
use super::lexer::Token;
use super::parser::{Parser, describe};
use super::raise::Outcome;

type Binary = fn(Box<Expr>, Box<Expr>) -> ExprKind;

pub(super) fn expr(line: usize, kind: ExprKind) -> Expr {
    Expr { line, kind }
}

impl Parser {
    pub(super) fn expression(&mut self) -> Outcome<Expr> {
        self.deeper(Self::conditional)
    }

    fn conditional(&mut self) -> Outcome<Expr> {
        let line = self.line();
        let mut then = self.or()?;
        let mut chain = 0;
        while self.skip_name("if") {
            self.bounded(&mut chain)?;
            let test = Box::new(self.or()?);
            let otherwise =
                if self.skip_name("else") { Some(Box::new(self.expression()?)) } else { None };
            let kind = ExprKind::Conditional { test, then: Box::new(then), otherwise };
            then = expr(line, kind);
        }
        Ok(then)
    }

    /// A chain of operators nests to the left as deep as it is long.
    pub(super) fn bounded(&self, chain: &mut usize) -> Outcome<()> {
        *chain += 1;
        if *chain > super::budget::DEEPEST {
            return self.fail("it has too many operators in one expression");
        }
        Ok(())
    }

    fn chain(
        &mut self,
        part: fn(&mut Self) -> Outcome<Expr>,
        operator: impl Fn(&mut Self) -> Option<Binary>,
    ) -> Outcome<Expr> {
        let mut line = self.line();
        let mut left = part(self)?;
        let mut chain = 0;
        while let Some(join) = operator(self) {
            self.bounded(&mut chain)?;
            let right = part(self)?;
            left = expr(line, join(Box::new(left), Box::new(right)));
            line = self.line();
        }
        Ok(left)
    }

    fn or(&mut self) -> Outcome<Expr> {
        self.chain(Self::and, |parser| {
            let or: Binary = ExprKind::Or;
            parser.skip_name("or").then_some(or)
        })
    }

    fn and(&mut self) -> Outcome<Expr> {
        self.chain(Self::not, |parser| {
            let and: Binary = ExprKind::And;
            parser.skip_name("and").then_some(and)
        })
    }

    fn not(&mut self) -> Outcome<Expr> {
        let line = self.line();
        if self.skip_name("not") {
            let inner = self.deeper(Self::not)?;
            return Ok(expr(line, ExprKind::Not(Box::new(inner))));
        }
        self.compare()
    }

    fn compare(&mut self) -> Outcome<Expr> {
        let line = self.line();
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(operator) = self.compare_operator() {
            rest.push((operator, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(expr(line, ExprKind::Compare(Box::new(first), rest)))
    }

    fn compare_operator(&mut self) -> Option<CompareOp> {
        let operator = match self.token() {
            Token::Op("==") => CompareOp::Eq,
            Token::Op("!=") => CompareOp::Ne,
            Token::Op("<") => CompareOp::Lt,
            Token::Op("<=") => CompareOp::Le,
            Token::Op(">") => CompareOp::Gt,
            Token::Op(">=") => CompareOp::Ge,
            Token::Name(name) if name == "in" => CompareOp::In,
            Token::Name(name) if name == "not" => {
                if !matches!(self.look(), Token::Name(name) if name == "in") {
                    return None;
                }
                self.next();
                CompareOp::NotIn
            }
            _ => return None,
        };
        self.next();
        Some(operator)
    }

    fn sum(&mut self) -> Outcome<Expr> {
        self.chain(Self::concat, |parser| {
            let join: Binary = match parser.token() {
                Token::Op("+") => |l, r| ExprKind::Binary(BinaryOp::Add, l, r),
                Token::Op("-") => |l, r| ExprKind::Binary(BinaryOp::Sub, l, r),
                _ => return None,
            };
            parser.next();
            Some(join)
        })
    }

    fn concat(&mut self) -> Outcome<Expr> {
        let line = self.line();
        let first = self.product()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_op("~") {
            parts.push(self.product()?);
        }
        Ok(expr(line, ExprKind::Concat(parts)))
    }

    fn product(&mut self) -> Outcome<Expr> {
        self.chain(Self::power, |parser| {
            let join: Binary = match parser.token() {
                Token::Op("*") => |l, r| ExprKind::Binary(BinaryOp::Mul, l, r),
                Token::Op("/") => |l, r| ExprKind::Binary(BinaryOp::Div, l, r),
                Token::Op("//") => |l, r| ExprKind::Binary(BinaryOp::FloorDiv, l, r),
                Token::Op("%") => |l, r| ExprKind::Binary(BinaryOp::Mod, l, r),
                _ => return None,
            };
            parser.next();
            Some(join)
        })
    }

    fn power(&mut self) -> Outcome<Expr> {
        self.chain(
            |parser| parser.unary(true),
            |parser| {
                let join: Binary = |l, r| ExprKind::Binary(BinaryOp::Pow, l, r);
                parser.skip_op("**").then_some(join)
            },
        )
    }

    fn unary(&mut self, with_filter: bool) -> Outcome<Expr> {
        let line = self.line();
        let node = if self.skip_op("-") {
            let inner = self.deeper(|parser| parser.unary(false))?;
            expr(line, ExprKind::Neg(Box::new(inner)))
        } else if self.skip_op("+") {
            let inner = self.deeper(|parser| parser.unary(false))?;
            expr(line, ExprKind::Pos(Box::new(inner)))
        } else {
            self.primary()?
        };
        let node = self.postfix(node)?;
        if with_filter { self.filter_or_test(node) } else { Ok(node) }
    }

    pub(super) fn primary(&mut self) -> Outcome<Expr> {
        let line = self.line();
        let kind = match self.token().clone() {
            Token::Name(name) => {
                self.next();
                match name.as_str() {
                    "true" | "True" => ExprKind::Const(Const::Bool(true)),
                    "false" | "False" => ExprKind::Const(Const::Bool(false)),
                    "none" | "None" => ExprKind::Const(Const::None),
                    _ => {
                        self.reads(&name);
                        ExprKind::Name(name)
                    }
                }
            }
            Token::Str(mut text) => {
                self.next();
                while let Token::Str(more) = self.token() {
                    text.push_str(more);
                    self.next();
                }
                ExprKind::Const(Const::Str(text))
            }
            Token::Int(number) => {
                self.next();
                ExprKind::Const(Const::Int(number))
            }
            Token::Float(number) => {
                self.next();
                ExprKind::Const(Const::Float(number))
            }
            Token::Op("(") => {
                self.next();
                let inner = self.deeper(Self::parenthesised)?;
                self.expect_op(")")?;
                return Ok(inner);
            }
            Token::Op("[") => ExprKind::List(self.list()?),
            Token::Op("{") => ExprKind::Dict(self.dict()?),
            other => return self.fail(format!("unexpected '{}'", describe(&other))),
        };
        Ok(expr(line, kind))
    }

    fn parenthesised(&mut self) -> Outcome<Expr> {
        if self.is_op(")") {
            return Ok(expr(self.line(), ExprKind::Tuple(Vec::new())));
        }
        self.tuple(true, &[])
    }

    pub(super) fn is_tuple_end(&self, ends: &[&str]) -> bool {
        matches!(self.token(), Token::VariableEnd | Token::BlockEnd | Token::Op(")"))
            || ends.iter().any(|end| self.is_name(end))
    }

    /// One expression, or several with commas.
    pub(super) fn tuple(&mut self, with_conditional: bool, ends: &[&str]) -> Outcome<Expr> {
        let line = self.line();
        let mut parts = Vec::new();
        let mut is_tuple = false;
        loop {
            if !parts.is_empty() {
                self.expect_op(",")?;
            }
            if self.is_tuple_end(ends) {
                break;
            }
            parts.push(if with_conditional { self.expression()? } else { self.deeper(Self::or)? });
            if !self.is_op(",") {
                break;
            }
            is_tuple = true;
        }
        if is_tuple {
            return Ok(expr(line, ExprKind::Tuple(parts)));
        }
        match parts.pop() {
            Some(only) => Ok(only),
            None => self.fail(format!("Expected an expression, got '{}'", describe(self.token()))),
        }
    }

    fn list(&mut self) -> Outcome<Vec<Expr>> {
        self.next();
        let mut items = Vec::new();
        while !self.is_op("]") {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.is_op("]") {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        self.expect_op("]")?;
        Ok(items)
    }

    fn dict(&mut self) -> Outcome<Vec<(Expr, Expr)>> {
        self.next();
        let mut items = Vec::new();
        while !self.is_op("}") {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.is_op("}") {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect_op(":")?;
            items.push((key, self.expression()?));
        }
        self.expect_op("}")?;
        Ok(items)
    }
}

//! Tokens to a tree: statements. Expressions are in [`expressions`](super::expressions).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ast::{For, Stmt, StmtKind, Target};
use super::budget::DEEPEST;
use super::lexer::{Token, tokens};
use super::raise::{Outcome, syntax_error};

/// A template's statements and its blocks by name.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) body: Vec<Stmt>,
    pub(super) blocks: BTreeMap<String, Vec<Stmt>>,
}

pub(super) struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    blocks: BTreeMap<String, Vec<Stmt>>,
    /// Of the macros that are open: whether `caller`, `kwargs`, `varargs` are read.
    pub(super) special: Vec<[bool; 3]>,
}

pub(super) fn parse(source: &str) -> Outcome<Tree> {
    let tokens = tokens(source)?;
    let mut parser =
        Parser { tokens, at: 0, depth: 0, blocks: BTreeMap::new(), special: Vec::new() };
    let body = parser.statements(&[])?;
    Ok(Tree { body, blocks: parser.blocks })
}

/// A name as an error shows it.
pub(super) fn describe(token: &Token) -> String {
    match token {
        Token::Data(_) => "template data / text".to_owned(),
        Token::VariableBegin => "begin of print statement".to_owned(),
        Token::VariableEnd => "end of print statement".to_owned(),
        Token::BlockBegin => "begin of statement block".to_owned(),
        Token::BlockEnd => "end of statement block".to_owned(),
        Token::Name(name) => name.clone(),
        Token::Int(_) => "integer".to_owned(),
        Token::Float(_) => "float".to_owned(),
        Token::Str(_) => "string".to_owned(),
        Token::Op(operator) => (*operator).to_owned(),
        Token::Eof => "end of template".to_owned(),
    }
}

impl Parser {
    pub(super) fn token(&self) -> &Token {
        &self.tokens[self.at].1
    }

    pub(super) fn look(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].1
    }

    pub(super) fn line(&self) -> usize {
        self.tokens[self.at].0
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.token().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Outcome<T> {
        Err(syntax_error(self.line(), message))
    }

    pub(super) fn is_op(&self, operator: &str) -> bool {
        matches!(self.token(), Token::Op(of) if *of == operator)
    }

    pub(super) fn skip_op(&mut self, operator: &str) -> bool {
        let skips = self.is_op(operator);
        if skips {
            self.next();
        }
        skips
    }

    pub(super) fn expect_op(&mut self, operator: &str) -> Outcome<()> {
        if self.skip_op(operator) {
            return Ok(());
        }
        self.fail(format!("expected token '{operator}', got '{}'", describe(self.token())))
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.token(), Token::Name(of) if of == name)
    }

    pub(super) fn skip_name(&mut self, name: &str) -> bool {
        let skips = self.is_name(name);
        if skips {
            self.next();
        }
        skips
    }

    pub(super) fn name(&mut self) -> Outcome<String> {
        match self.token() {
            Token::Name(_) => match self.next() {
                Token::Name(name) => Ok(name),
                _ => unreachable!("it was a name"),
            },
            other => self.fail(format!("expected token 'name', got '{}'", describe(other))),
        }
    }

    fn expect(&mut self, token: &Token) -> Outcome<()> {
        if self.token() == token {
            self.next();
            return Ok(());
        }
        let (wanted, got) = (describe(token), describe(self.token()));
        self.fail(format!("expected token '{wanted}', got '{got}'"))
    }

    /// Runs `parse` one level deeper.
    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.depth >= DEEPEST {
            return self.fail(format!("it nests more than {DEEPEST} deep"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Statements up to a tag of `ends`, whose name is the next token; to the end if there are none.
    fn statements(&mut self, ends: &[&str]) -> Outcome<Vec<Stmt>> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            match self.token() {
                Token::Eof if ends.is_empty() => return Ok(body),
                Token::Eof => {
                    let ends = ends.join("' or '");
                    let what =
                        format!("Unexpected end of template. Jinja was looking for '{ends}'");
                    return self.fail(what);
                }
                Token::Data(_) => {
                    if let Token::Data(data) = self.next() {
                        body.push(Stmt { line, kind: StmtKind::Data(data) });
                    }
                }
                Token::VariableBegin => {
                    self.next();
                    let value = self.tuple(true, &[])?;
                    self.expect(&Token::VariableEnd)?;
                    body.push(Stmt { line, kind: StmtKind::Output(vec![value]) });
                }
                _ => {
                    self.expect(&Token::BlockBegin)?;
                    if ends.iter().any(|end| self.is_name(end)) {
                        return Ok(body);
                    }
                    let line = self.line();
                    let kind = self.deeper(Self::statement)?;
                    body.push(Stmt { line, kind });
                    self.expect(&Token::BlockEnd)?;
                }
            }
        }
    }

    /// What a tag holds, up to one of `ends`, which is read too; which it is comes back.
    pub(super) fn body(&mut self, ends: &[&str]) -> Outcome<(Vec<Stmt>, String)> {
        self.skip_op(":");
        self.expect(&Token::BlockEnd)?;
        let body = self.statements(ends)?;
        Ok((body, self.name()?))
    }

    fn statement(&mut self) -> Outcome<StmtKind> {
        let Token::Name(tag) = self.token().clone() else {
            return self.fail("tag name expected");
        };
        self.next();
        match tag.as_str() {
            "for" => self.for_loop(),
            "if" => self.if_chain(),
            "set" => self.set(),
            "with" => self.with(),
            "macro" => self.macro_definition(),
            "call" => self.call_block(),
            "filter" => {
                let filter = self.filters(None, true)?;
                Ok(StmtKind::FilterBlock(filter, self.body(&["endfilter"])?.0))
            }
            "block" => self.block(),
            "print" => self.print(),
            "generation" => {
                self.special.push([false; 3]);
                let body = self.body(&["endgeneration"])?.0;
                self.special.pop();
                Ok(StmtKind::Generation(body))
            }
            "break" => Ok(StmtKind::Break),
            "continue" => Ok(StmtKind::Continue),
            "autoescape" => {
                self.expression()?;
                self.body(&["endautoescape"])?;
                Ok(StmtKind::Refused("unsupported", "the tag autoescape is not supported"))
            }
            "extends" | "include" | "import" | "from" => {
                while !matches!(self.token(), Token::BlockEnd | Token::Eof) {
                    self.next();
                }
                Ok(StmtKind::Refused("TypeError", "no loader for this environment specified"))
            }
            _ => {
                self.at -= 1;
                self.fail(format!("Encountered unknown tag '{tag}'."))
            }
        }
    }

    fn for_loop(&mut self) -> Outcome<StmtKind> {
        let target = self.target(&["in"], false)?;
        if !self.skip_name("in") {
            return self.fail("expected token 'in'");
        }
        let iterable = self.tuple(false, &["recursive"])?;
        let test = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        let (body, end) = self.body(&["endfor", "else"])?;
        let otherwise = if end == "else" { self.body(&["endfor"])?.0 } else { Vec::new() };
        let node = For { target, iterable, test, recursive, body, otherwise };
        Ok(StmtKind::For(Arc::new(node)))
    }

    fn if_chain(&mut self) -> Outcome<StmtKind> {
        let mut branches = Vec::new();
        loop {
            let test = self.tuple(false, &[])?;
            let (body, end) = self.body(&["elif", "else", "endif"])?;
            branches.push((test, body));
            match end.as_str() {
                "elif" => {}
                "else" => return Ok(StmtKind::If(branches, self.body(&["endif"])?.0)),
                _ => return Ok(StmtKind::If(branches, Vec::new())),
            }
        }
    }

    fn set(&mut self) -> Outcome<StmtKind> {
        let target = self.target(&[], true)?;
        if self.skip_op("=") {
            return Ok(StmtKind::Set(target, self.tuple(true, &[])?));
        }
        let filter = if self.is_op("|") { Some(self.filters(None, false)?) } else { None };
        Ok(StmtKind::SetBlock(target, filter, self.body(&["endset"])?.0))
    }

    fn with(&mut self) -> Outcome<StmtKind> {
        let mut set = Vec::new();
        while *self.token() != Token::BlockEnd {
            if !set.is_empty() {
                self.expect_op(",")?;
            }
            let target = self.target(&[], false)?;
            self.expect_op("=")?;
            set.push((target, self.expression()?));
        }
        Ok(StmtKind::With(set, self.body(&["endwith"])?.0))
    }

    fn block(&mut self) -> Outcome<StmtKind> {
        let name = self.name()?;
        if self.skip_name("scoped") {
            self.body(&["endblock"])?;
            return Ok(StmtKind::Refused("unsupported", "a scoped block is not supported"));
        }
        let required = self.skip_name("required");
        if self.is_op("-") {
            return self.fail("Block names in Jinja have to be valid Python identifiers");
        }
        let special = std::mem::take(&mut self.special);
        let body = self.body(&["endblock"])?.0;
        self.special = special;
        self.skip_name(&name);
        if required {
            let what = "Required block must be overridden, and no template does";
            return Ok(StmtKind::Refused("TemplateRuntimeError", what));
        }
        if self.blocks.insert(name.clone(), body).is_some() {
            return self.fail(format!("block '{name}' defined twice"));
        }
        Ok(StmtKind::Block(name))
    }

    fn print(&mut self) -> Outcome<StmtKind> {
        let mut values = Vec::new();
        while *self.token() != Token::BlockEnd {
            if !values.is_empty() {
                self.expect_op(",")?;
            }
            values.push(self.expression()?);
        }
        Ok(StmtKind::Output(values))
    }

    /// What stands before `=` or `in`.
    fn target(&mut self, ends: &[&str], with_attributes: bool) -> Outcome<Target> {
        let mut parts = Vec::new();
        let mut is_tuple = false;
        loop {
            if !parts.is_empty() {
                self.expect_op(",")?;
            }
            if self.is_tuple_end(ends) {
                break;
            }
            parts.push(self.target_part(with_attributes)?);
            if !self.is_op(",") {
                break;
            }
            is_tuple = true;
        }
        match parts.pop() {
            Some(only) if !is_tuple => Ok(only),
            None => self.fail(format!("Expected an expression, got '{}'", describe(self.token()))),
            Some(last) => {
                parts.push(last);
                Ok(Target::Tuple(parts))
            }
        }
    }

    fn target_part(&mut self, with_attributes: bool) -> Outcome<Target> {
        let line = self.line();
        if self.skip_op("(") {
            let target = self.deeper(|parser| parser.target(&[], false))?;
            self.expect_op(")")?;
            return Ok(target);
        }
        let Token::Name(name) = self.token().clone() else {
            return self.fail(format!("can't assign to '{}'", describe(self.token())));
        };
        self.next();
        assignable(&name, line)?;
        if with_attributes && self.skip_op(".") {
            return Ok(Target::Attribute(name, self.name()?));
        }
        Ok(Target::Name(name))
    }
}

pub(super) fn assignable(name: &str, line: usize) -> Outcome<()> {
    match name {
        "true" | "false" | "none" | "True" | "False" | "None" => {
            Err(syntax_error(line, "can't assign to 'const'"))
        }
        _ => Ok(()),
    }
}

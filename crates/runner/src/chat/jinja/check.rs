//! What jinja2 and Python's compiler refuse before anything is rendered.

use super::ast::{Arguments, Expr, ExprKind, Macro, Stmt, StmtKind, Target};
use super::parser::Tree;
use super::raise::{Outcome, raise, syntax_error};
use super::{filters, is};

/// Where a statement stands.
#[derive(Clone, Copy)]
struct Place {
    /// Below an `if`, an unknown filter or test is an error only when it is reached.
    soft: bool,
    in_loop: bool,
}

const HARD: Place = Place { soft: false, in_loop: false };

pub(super) fn check(tree: &Tree) -> Outcome<()> {
    statements(&tree.body, HARD)?;
    tree.blocks.values().try_for_each(|body| statements(body, HARD))
}

fn statements(body: &[Stmt], place: Place) -> Outcome<()> {
    body.iter().try_for_each(|stmt| statement(stmt, place))
}

fn statement(stmt: &Stmt, place: Place) -> Outcome<()> {
    let inner = Place { soft: false, ..place };
    match &stmt.kind {
        StmtKind::Data(_) | StmtKind::Block(_) | StmtKind::Refused(..) => Ok(()),
        StmtKind::Output(values) => expressions(values, place.soft),
        StmtKind::For(node) => {
            expression(&node.iterable, place.soft)?;
            no_loop(&node.target, stmt.line)?;
            node.test.iter().try_for_each(|test| expression(test, false))?;
            assigns_no_loop(&node.body, stmt.line)?;
            statements(&node.body, Place { soft: false, in_loop: true })?;
            statements(
                &node.otherwise,
                Place { in_loop: place.in_loop && !node.recursive, ..inner },
            )
        }
        StmtKind::If(branches, otherwise) => {
            let soft = Place { soft: true, ..place };
            for (test, body) in branches {
                expression(test, true)?;
                statements(body, soft)?;
            }
            statements(otherwise, soft)
        }
        StmtKind::Set(_, value) => expression(value, place.soft),
        StmtKind::SetBlock(_, filter, body) => {
            filter.iter().try_for_each(|filter| expression(filter, false))?;
            statements(body, inner)
        }
        StmtKind::With(set, body) => {
            set.iter().try_for_each(|(_, value)| expression(value, place.soft))?;
            statements(body, inner)
        }
        StmtKind::Macro(node) => definition(node),
        StmtKind::CallBlock(node, call) => {
            definition(node)?;
            expression(call, place.soft)
        }
        StmtKind::FilterBlock(filter, body) => {
            expression(filter, false)?;
            statements(body, inner)
        }
        StmtKind::Generation(body) => statements(body, HARD),
        StmtKind::Break | StmtKind::Continue if place.in_loop => Ok(()),
        StmtKind::Break => Err(syntax_error(stmt.line, "'break' outside loop")),
        StmtKind::Continue => Err(syntax_error(stmt.line, "'continue' not properly in loop")),
    }
}

fn definition(node: &Macro) -> Outcome<()> {
    expressions(&node.defaults, false)?;
    statements(&node.body, HARD)
}

fn no_loop(target: &Target, line: usize) -> Outcome<()> {
    match target {
        Target::Name(name) if name == "loop" => {
            let what = "Can't assign to special loop variable in for-loop target";
            Err(Box::new(super::raise::Raise { line, ..*raise("TemplateAssertionError", what) }))
        }
        Target::Tuple(parts) => parts.iter().try_for_each(|part| no_loop(part, line)),
        _ => Ok(()),
    }
}

/// jinja2 looks through all that a loop holds.
fn assigns_no_loop(body: &[Stmt], line: usize) -> Outcome<()> {
    body.iter().try_for_each(|stmt| match &stmt.kind {
        StmtKind::Set(target, _) => no_loop(target, line),
        StmtKind::SetBlock(target, _, body) => {
            no_loop(target, line)?;
            assigns_no_loop(body, line)
        }
        StmtKind::If(branches, otherwise) => {
            branches.iter().try_for_each(|(_, body)| assigns_no_loop(body, line))?;
            assigns_no_loop(otherwise, line)
        }
        StmtKind::With(_, body) | StmtKind::FilterBlock(_, body) | StmtKind::Generation(body) => {
            assigns_no_loop(body, line)
        }
        _ => Ok(()),
    })
}

fn expressions(values: &[Expr], soft: bool) -> Outcome<()> {
    values.iter().try_for_each(|value| expression(value, soft))
}

fn unknown(line: usize, what: &str, name: &str) -> Outcome<()> {
    let error = raise("TemplateAssertionError", format!("No {what} named {name:?}."));
    Err(Box::new(super::raise::Raise { line, ..*error }))
}

fn expression(value: &Expr, soft: bool) -> Outcome<()> {
    let one = |value: &Expr| expression(value, soft);
    match &value.kind {
        ExprKind::Const(_) | ExprKind::Name(_) => Ok(()),
        ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Concat(items) => {
            expressions(items, soft)
        }
        ExprKind::Dict(items) => items.iter().try_for_each(|(key, value)| {
            one(key)?;
            one(value)
        }),
        ExprKind::Neg(inner)
        | ExprKind::Pos(inner)
        | ExprKind::Not(inner)
        | ExprKind::Attribute(inner, _) => one(inner),
        ExprKind::And(left, right)
        | ExprKind::Or(left, right)
        | ExprKind::Binary(_, left, right)
        | ExprKind::Item(left, right) => {
            one(left)?;
            one(right)
        }
        ExprKind::Compare(first, rest) => {
            one(first)?;
            rest.iter().try_for_each(|(_, value)| one(value))
        }
        ExprKind::Conditional { test, then, otherwise } => {
            expression(test, true)?;
            expression(then, true)?;
            otherwise.iter().try_for_each(|value| expression(value, true))
        }
        ExprKind::Slice(of, bounds) => {
            one(of)?;
            bounds.iter().flatten().try_for_each(|bound| one(bound))
        }
        ExprKind::Call(of, given) => {
            one(of)?;
            arguments(given, soft)
        }
        ExprKind::Filter(of, name, given) => {
            if !soft && !filters::NAMES.contains(&name.as_str()) {
                return unknown(value.line, "filter", name);
            }
            of.iter().try_for_each(|of| one(of))?;
            arguments(given, soft)
        }
        ExprKind::Test(of, name, given) => {
            if !soft && !is::NAMES.contains(&name.as_str()) {
                return unknown(value.line, "test", name);
            }
            one(of)?;
            arguments(given, soft)
        }
    }
}

fn arguments(given: &Arguments, soft: bool) -> Outcome<()> {
    expressions(&given.positional, soft)?;
    given.named.iter().try_for_each(|(_, value)| expression(value, soft))?;
    let rest = given.rest.iter().chain(&given.named_rest);
    rest.into_iter().try_for_each(|value| expression(value, soft))
}

//! Evaluates expressions.

use std::rc::Rc;

use super::ast::{Arguments, Const, Expr, ExprKind};
use super::budget;
use super::call::{Args, GLOBALS, call, insert};
use super::compare::{compare, truthy};
use super::iterate::items;
use super::parser::Tree;
use super::raise::{Outcome, raise, type_error};
use super::scope::Scope;
use super::value::{Dict, Object, Value};
use super::{access, arithmetic, filters, is, repr};

/// How deep evaluation may go before its stack is used up.
const DEEPEST: usize = 20_000;

pub(super) struct Machine<'t> {
    pub(super) tree: &'t Tree,
    /// What the template itself sets, which its blocks see.
    pub(super) root: Rc<Scope>,
    depth: usize,
    /// Whether all of what is printed is constant, which jinja2 works out itself.
    constant: bool,
}

impl<'t> Machine<'t> {
    pub(super) fn new(tree: &'t Tree, root: Rc<Scope>) -> Self {
        Self { tree, root, depth: 0, constant: false }
    }

    /// The value of what is printed.
    pub(super) fn printed(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Outcome<Value> {
        self.constant = is_constant(&expr.kind);
        let value = self.eval(expr, scope);
        self.constant = false;
        value
    }

    pub(super) fn has_block(&self, name: &str) -> bool {
        self.tree.blocks.contains_key(name)
    }

    /// Runs `step` one level deeper.
    pub(super) fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.depth >= DEEPEST {
            return Err(raise("RecursionError", "maximum recursion depth exceeded"));
        }
        self.depth += 1;
        let done = step(self);
        self.depth -= 1;
        done
    }

    pub(super) fn eval(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Outcome<Value> {
        budget::check()?;
        let value = self.deeper(|machine| machine.eval_kind(&expr.kind, scope));
        value.map_err(|mut error| {
            if error.line == 0 {
                error.line = expr.line;
            }
            error
        })
    }

    /// What is printed of a value.
    pub(super) fn string(&mut self, value: &Value) -> Outcome<String> {
        if let Value::Object(object) = value
            && let Object::Loop(of) = &**object
        {
            return of.describe(self);
        }
        repr::string(value)
    }

    pub(super) fn truthy(&mut self, value: &Value) -> Outcome<bool> {
        if let Value::Object(object) = value
            && let Object::Loop(of) = &**object
        {
            return Ok(of.length(self)? != 0);
        }
        Ok(truthy(value))
    }

    fn test(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Outcome<bool> {
        let value = self.eval(expr, scope)?;
        self.truthy(&value)
    }

    fn all(&mut self, exprs: &[Expr], scope: &Rc<Scope>) -> Outcome<Vec<Value>> {
        exprs.iter().map(|expr| self.eval(expr, scope)).collect()
    }

    fn eval_kind(&mut self, kind: &ExprKind, scope: &Rc<Scope>) -> Outcome<Value> {
        match kind {
            ExprKind::Const(of) => Ok(constant(of)),
            ExprKind::Name(name) => Ok(Self::name(name, scope)),
            ExprKind::List(items) => Ok(Value::list(self.all(items, scope)?)),
            ExprKind::Tuple(items) => Ok(Value::tuple(self.all(items, scope)?)),
            ExprKind::Dict(items) => self.dict(items, scope),
            ExprKind::Neg(of) => arithmetic::unary(true, &self.eval(of, scope)?),
            ExprKind::Pos(of) => arithmetic::unary(false, &self.eval(of, scope)?),
            ExprKind::Not(of) => Ok(Value::Bool(!self.test(of, scope)?)),
            ExprKind::And(left, right) | ExprKind::Or(left, right) => {
                let left = self.eval(left, scope)?;
                let ends = self.truthy(&left)? == matches!(kind, ExprKind::Or(..));
                if ends { Ok(left) } else { self.eval(right, scope) }
            }
            ExprKind::Binary(operator, left, right) => {
                let left = self.eval(left, scope)?;
                arithmetic::binary(*operator, &left, &self.eval(right, scope)?)
            }
            ExprKind::Compare(first, rest) => {
                let mut left = self.eval(first, scope)?;
                for (operator, right) in rest {
                    let right = self.eval(right, scope)?;
                    if !compare(*operator, &left, &right)? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Ok(Value::Bool(true))
            }
            ExprKind::Concat(parts) => self.concat(parts, scope),
            ExprKind::Conditional { test, then, otherwise } => {
                if self.test(test, scope)? {
                    return self.eval(then, scope);
                }
                let absent =
                    "the inline if-expression evaluated to false and no else section was defined.";
                match otherwise {
                    Some(otherwise) => self.eval(otherwise, scope),
                    None => Ok(Value::undefined(absent)),
                }
            }
            ExprKind::Attribute(of, name) => {
                let of = self.eval(of, scope)?;
                access::attribute(self, &of, name)
            }
            ExprKind::Item(of, index) => {
                let of = self.eval(of, scope)?;
                let index = self.eval(index, scope)?;
                access::item(self, &of, &index)
            }
            ExprKind::Slice(of, bounds) => {
                let of = self.eval(of, scope)?;
                let mut values = [const { None }; 3];
                for (value, bound) in values.iter_mut().zip(bounds) {
                    *value = bound.as_deref().map(|bound| self.eval(bound, scope)).transpose()?;
                }
                let slice = access::slice(&of, &values);
                // There a slice of what has none is undefined.
                match slice {
                    Err(error) if error.kind == "TypeError" && self.constant => {
                        Ok(Value::undefined(error.message))
                    }
                    slice => slice,
                }
            }
            ExprKind::Call(of, given) => {
                let of = self.eval(of, scope)?;
                let args = self.arguments(given, scope)?;
                call(self, &of, args)
            }
            ExprKind::Filter(of, name, given) => {
                // Without a value it is a block's, which `filter_block` hands over.
                let of = of.as_deref().map_or(Ok(Value::None), |of| self.eval(of, scope))?;
                let args = self.arguments(given, scope)?;
                filters::apply(self, name, of, args)
            }
            ExprKind::Test(of, name, given) => {
                let of = self.eval(of, scope)?;
                let args = self.arguments(given, scope)?;
                is::test(name, &of, args).map(Value::Bool)
            }
        }
    }

    /// A filter over what a block holds.
    pub(super) fn filter_block(
        &mut self,
        expr: &Expr,
        text: Value,
        scope: &Rc<Scope>,
    ) -> Outcome<Value> {
        let ExprKind::Filter(inner, name, given) = &expr.kind else { return Ok(text) };
        let of = match inner {
            Some(inner) => self.deeper(|machine| machine.filter_block(inner, text, scope))?,
            None => text,
        };
        let args = self.arguments(given, scope)?;
        filters::apply(self, name, of, args).map_err(|mut error| {
            error.line = error.line.max(expr.line);
            error
        })
    }

    fn name(name: &str, scope: &Rc<Scope>) -> Value {
        if let Some(value) = scope.get(name) {
            return value;
        }
        match GLOBALS.iter().find(|of| **of == name) {
            Some(global) => Value::object(Object::Global(global)),
            None if name == "self" => Value::object(Object::Template),
            None => Value::undefined(format!("'{name}' is undefined")),
        }
    }

    fn dict(&mut self, pairs: &[(Expr, Expr)], scope: &Rc<Scope>) -> Outcome<Value> {
        let mut entries = Vec::new();
        for (key, value) in pairs {
            let key = self.eval(key, scope)?;
            let value = self.eval(value, scope)?;
            insert(&mut entries, key, value)?;
        }
        Ok(Value::Dict(Dict::new(entries)))
    }

    fn concat(&mut self, parts: &[Expr], scope: &Rc<Scope>) -> Outcome<Value> {
        let mut out = String::new();
        for value in self.all(parts, scope)? {
            out.push_str(&self.string(&value)?);
            budget::fits(out.len())?;
        }
        budget::spend(out.len() >> 10)?;
        Ok(Value::str(out))
    }

    pub(super) fn arguments(&mut self, given: &Arguments, scope: &Rc<Scope>) -> Outcome<Args> {
        let mut args = Args { positional: self.all(&given.positional, scope)?, named: Vec::new() };
        for (name, value) in &given.named {
            args.named.push((name.clone(), self.eval(value, scope)?));
        }
        if let Some(rest) = &given.rest {
            let rest = self.eval(rest, scope)?;
            let more = items(&rest).map_err(|_| {
                type_error(format!("argument after * must be an iterable, not {}", rest.class()))
            })?;
            args.positional.extend(more);
        }
        if let Some(rest) = &given.named_rest {
            let Value::Dict(rest) = self.eval(rest, scope)? else {
                return Err(type_error("argument after ** must be a mapping"));
            };
            for (key, value) in &rest.entries {
                let Some(key) = key.as_str() else {
                    return Err(type_error("keywords must be strings"));
                };
                if args.named.iter().any(|(name, _)| name == key) {
                    let what = format!("got multiple values for keyword argument '{key}'");
                    return Err(type_error(what));
                }
                args.named.push((key.to_owned(), value.clone()));
            }
        }
        Ok(args)
    }
}

/// Whether jinja2 can work an expression out before it renders.
fn is_constant(kind: &ExprKind) -> bool {
    let all = |items: &[Expr]| items.iter().all(|item| is_constant(&item.kind));
    let one = |item: &Expr| is_constant(&item.kind);
    let given = |of: &Arguments| {
        of.rest.is_none()
            && of.named_rest.is_none()
            && all(&of.positional)
            && of.named.iter().all(|(_, value)| one(value))
    };
    match kind {
        ExprKind::Const(_) => true,
        ExprKind::Name(_) | ExprKind::Call(..) | ExprKind::Filter(None, ..) => false,
        ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Concat(items) => all(items),
        ExprKind::Dict(items) => items.iter().all(|(key, value)| one(key) && one(value)),
        ExprKind::Neg(of) | ExprKind::Pos(of) | ExprKind::Not(of) | ExprKind::Attribute(of, _) => {
            one(of)
        }
        ExprKind::And(left, right)
        | ExprKind::Or(left, right)
        | ExprKind::Binary(_, left, right)
        | ExprKind::Item(left, right) => one(left) && one(right),
        ExprKind::Compare(first, rest) => one(first) && rest.iter().all(|(_, value)| one(value)),
        ExprKind::Conditional { test, then, otherwise } => {
            one(test) && one(then) && otherwise.as_deref().is_some_and(one)
        }
        ExprKind::Slice(of, bounds) => {
            one(of) && bounds.iter().flatten().all(|bound| is_constant(&bound.kind))
        }
        ExprKind::Filter(Some(of), name, args) => {
            let by_context = ["map", "select", "reject", "selectattr", "rejectattr", "random"]
                .contains(&name.as_str());
            !by_context && one(of) && given(args)
        }
        ExprKind::Test(of, _, args) => one(of) && given(args),
    }
}

fn constant(of: &Const) -> Value {
    match of {
        Const::None => Value::None,
        Const::Bool(of) => Value::Bool(*of),
        Const::Int(of) => Value::Int(*of),
        Const::Float(of) => Value::Float(*of),
        Const::Str(of) => Value::str(of.as_str()),
    }
}

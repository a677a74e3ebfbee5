//! Runs statements.

use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Expr, ExprKind, For, Stmt, StmtKind, Target};
use super::budget;
use super::call::{Args, call};
use super::iterate::unpack;
use super::loops::Loop;
use super::machine::Machine;
use super::raise::{Outcome, raise, type_error};
use super::scope::Scope;
use super::value::{Dict, MacroValue, Object, Value};

/// How a statement ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
}

impl Machine<'_> {
    pub(super) fn run(
        &mut self,
        body: &[Stmt],
        scope: &Rc<Scope>,
        out: &mut String,
    ) -> Outcome<Flow> {
        for stmt in body {
            budget::check()?;
            budget::fits(out.len())?;
            let flow = self.deeper(|machine| machine.statement(stmt, scope, out));
            let flow = flow.map_err(|mut error| {
                if error.line == 0 {
                    error.line = stmt.line;
                }
                error
            })?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    /// What statements put out, in a scope of their own.
    fn captured(&mut self, body: &[Stmt], scope: &Rc<Scope>) -> Outcome<(String, Flow)> {
        let mut text = String::new();
        let flow = self.run(body, scope, &mut text)?;
        Ok((text, flow))
    }

    fn statement(&mut self, stmt: &Stmt, scope: &Rc<Scope>, out: &mut String) -> Outcome<Flow> {
        match &stmt.kind {
            StmtKind::Data(text) => out.push_str(text),
            StmtKind::Output(values) => {
                for value in values {
                    let value = self.printed(value, scope)?;
                    self.put(&value, out)?;
                }
            }
            StmtKind::For(node) => self.for_loop(node, scope, out)?,
            StmtKind::If(branches, otherwise) => {
                for (test, body) in branches {
                    let test = self.eval(test, scope)?;
                    if self.truthy(&test)? {
                        return self.run(body, scope, out);
                    }
                }
                return self.run(otherwise, scope, out);
            }
            StmtKind::Set(target, value) => {
                namespaces(target, scope)?;
                let value = self.eval(value, scope)?;
                assign(target, &value, scope)?;
            }
            StmtKind::SetBlock(target, filter, body) => {
                let inner = Scope::inside(scope);
                let (text, flow) = self.captured(body, &inner)?;
                if flow != Flow::On {
                    return Ok(flow);
                }
                let mut value = Value::str(text);
                if let Some(filter) = filter {
                    value = self.filter_block(filter, value, &inner)?;
                }
                assign(target, &value, scope)?;
            }
            StmtKind::With(set, body) => {
                let inner = Scope::inside(scope);
                for (target, value) in set {
                    let value = self.eval(value, scope)?;
                    assign(target, &value, &inner)?;
                }
                return self.run(body, &inner, out);
            }
            StmtKind::Macro(node) => {
                let value = MacroValue { node: node.clone(), scope: scope.clone() };
                let name = node.name.as_deref().unwrap_or_default();
                scope.set(name, Value::object(Object::Macro(value)));
            }
            StmtKind::CallBlock(node, expr) => {
                let caller = MacroValue { node: node.clone(), scope: scope.clone() };
                let value = self.call_with(expr, Value::object(Object::Macro(caller)), scope)?;
                self.put_text(&value, out)?;
            }
            StmtKind::FilterBlock(filter, body) => {
                let inner = Scope::inside(scope);
                let (text, flow) = self.captured(body, &inner)?;
                if flow != Flow::On {
                    return Ok(flow);
                }
                let value = self.filter_block(filter, Value::str(text), &inner)?;
                self.put_text(&value, out)?;
            }
            StmtKind::Block(name) => {
                let value = self.block(name)?;
                self.put(&value, out)?;
            }
            StmtKind::Generation(body) => {
                self.run(body, &Scope::inside(scope), out)?;
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
            StmtKind::Refused(kind, what) => return Err(raise(kind, *what)),
        }
        Ok(Flow::On)
    }

    fn put(&mut self, value: &Value, out: &mut String) -> Outcome<()> {
        let text = self.string(value)?;
        budget::fits(out.len() + text.len())?;
        out.push_str(&text);
        Ok(())
    }

    /// What a block comes to, which must be text.
    fn put_text(&mut self, value: &Value, out: &mut String) -> Outcome<()> {
        if value.as_str().is_none() {
            let class = value.class();
            return Err(type_error(format!("expected str instance, {class} found")));
        }
        self.put(value, out)
    }

    /// The blocks of a template see what the template itself sets, and no more.
    pub(super) fn block(&mut self, name: &str) -> Outcome<Value> {
        let tree = self.tree;
        let body = tree.blocks.get(name).map_or(&[][..], Vec::as_slice);
        let scope = Scope::inside(&self.root);
        let text = self.deeper(|machine| machine.captured(body, &scope))?.0;
        Ok(Value::str(text))
    }

    fn for_loop(&mut self, node: &Arc<For>, scope: &Rc<Scope>, out: &mut String) -> Outcome<()> {
        let iterable = self.eval(&node.iterable, scope)?;
        if node.recursive {
            let text = self.recursive_loop(node, scope, &iterable, 0)?;
            return self.put(&text, out);
        }
        self.iterate(node, scope, iterable, 0, out)
    }

    pub(super) fn recursive_loop(
        &mut self,
        node: &Arc<For>,
        scope: &Rc<Scope>,
        iterable: &Value,
        depth: i128,
    ) -> Outcome<Value> {
        let mut text = String::new();
        self.deeper(|machine| machine.iterate(node, scope, iterable.clone(), depth, &mut text))?;
        Ok(Value::str(text))
    }

    fn iterate(
        &mut self,
        node: &Arc<For>,
        scope: &Rc<Scope>,
        iterable: Value,
        depth: i128,
        out: &mut String,
    ) -> Outcome<()> {
        let value = Rc::new(Object::Loop(Box::new(Loop::new(node, scope, iterable, depth)?)));
        let Object::Loop(state) = &*value else { return Ok(()) };
        // As in jinja2, only a body that is gone through to its end takes the `else` away.
        let mut ended = false;
        while let Some(item) = state.next(self)? {
            let inner = Scope::inside(scope);
            inner.set("loop", Value::Object(value.clone()));
            assign(&node.target, &item, &inner)?;
            match self.run(&node.body, &inner, out)? {
                Flow::On => ended = true,
                Flow::Continue => {}
                Flow::Break => break,
            }
        }
        if !ended {
            self.run(&node.otherwise, &Scope::inside(scope), out)?;
        }
        Ok(())
    }

    /// The call of a call block, whose body is `caller`.
    fn call_with(&mut self, expr: &Expr, caller: Value, scope: &Rc<Scope>) -> Outcome<Value> {
        let ExprKind::Call(of, given) = &expr.kind else {
            return Err(type_error("expected call"));
        };
        let of = self.eval(of, scope)?;
        let mut args = self.arguments(given, scope)?;
        if args.named.iter().any(|(name, _)| name == "caller") {
            return Err(type_error("got multiple values for keyword argument 'caller'"));
        }
        args.named.push(("caller".to_owned(), caller));
        call(self, &of, args)
    }

    pub(super) fn call_macro(&mut self, of: &MacroValue, mut args: Args) -> Outcome<Value> {
        let node = of.node.clone();
        let scope = Scope::inside(&of.scope);
        let name = node.name.as_deref().unwrap_or("None");
        let count = node.parameters.len();
        let more = args.positional.split_off(count.min(args.positional.len()));
        let mut given: Vec<Option<Value>> = args.positional.into_iter().map(Some).collect();
        let mut found_caller =
            given.len() == count && node.parameters.iter().any(|name| name == "caller");
        for parameter in &node.parameters[given.len()..] {
            let at = args.named.iter().position(|(name, _)| name == parameter);
            given.push(at.map(|at| args.named.remove(at).1));
            found_caller |= parameter == "caller";
        }
        if node.uses_caller && !found_caller {
            let at = args.named.iter().position(|(name, _)| name == "caller");
            let caller = at.map(|at| args.named.remove(at).1);
            let caller = caller.filter(|caller| !matches!(caller, Value::None));
            scope.set("caller", caller.unwrap_or_else(|| Value::undefined("No caller defined")));
        }
        if node.uses_kwargs {
            let entries = args.named.into_iter().map(|(name, value)| (Value::str(name), value));
            scope.set("kwargs", Value::Dict(Dict::new(entries.collect())));
        } else if let Some((unknown, _)) = args.named.first() {
            let what = format!("macro '{name}' takes no keyword argument '{unknown}'");
            return Err(type_error(what));
        }
        if node.uses_varargs {
            scope.set("varargs", Value::tuple(more));
        } else if !more.is_empty() {
            let what = format!("macro '{name}' takes not more than {count} argument(s)");
            return Err(type_error(what));
        }
        self.deeper(|machine| {
            machine.parameters(&node, &given, &scope)?;
            Ok(Value::str(machine.captured(&node.body, &scope)?.0))
        })
    }

    /// Sets the parameters, and those that were not given to their defaults, first to last.
    fn parameters(
        &mut self,
        node: &super::ast::Macro,
        given: &[Option<Value>],
        scope: &Rc<Scope>,
    ) -> Outcome<()> {
        let absent = |name: &str| Value::undefined(format!("parameter '{name}' was not provided"));
        for (name, value) in node.parameters.iter().zip(given) {
            scope.set(name, value.clone().unwrap_or_else(|| absent(name)));
        }
        let first = node.parameters.len() - node.defaults.len();
        for (at, name) in node.parameters.iter().enumerate().skip(first) {
            if given[at].is_none() {
                let value = self.eval(&node.defaults[at - first], scope)?;
                scope.set(name, value);
            }
        }
        Ok(())
    }
}

/// What has an attribute set must be a namespace before the value is looked at.
fn namespaces(target: &Target, scope: &Rc<Scope>) -> Outcome<()> {
    match target {
        Target::Name(_) => Ok(()),
        Target::Tuple(parts) => parts.iter().try_for_each(|part| namespaces(part, scope)),
        Target::Attribute(name, _) => match scope.get(name) {
            Some(Value::Object(object)) if matches!(*object, Object::Namespace(_)) => Ok(()),
            _ => {
                let what = "cannot assign attribute on non-namespace object";
                Err(raise("TemplateRuntimeError", what))
            }
        },
    }
}

pub(super) fn assign(target: &Target, value: &Value, scope: &Rc<Scope>) -> Outcome<()> {
    match target {
        Target::Name(name) => scope.set(name, value.clone()),
        Target::Tuple(parts) => {
            let values = unpack(value, parts.len())?;
            for (part, value) in parts.iter().zip(&values) {
                assign(part, value, scope)?;
            }
        }
        Target::Attribute(of, name) => {
            let of = scope.get(of).unwrap_or(Value::None);
            super::access::set_attribute(&of, name, value.clone())?;
        }
    }
    Ok(())
}

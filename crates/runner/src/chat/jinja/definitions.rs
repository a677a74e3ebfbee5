//! Tokens to a tree: macros and call blocks.

use std::sync::Arc;

use super::ast::{Expr, ExprKind, Macro, StmtKind};
use super::parser::{Parser, assignable};
use super::raise::{Outcome, syntax_error};

const SPECIAL: [&str; 3] = ["caller", "kwargs", "varargs"];

impl Parser {
    pub(super) fn macro_definition(&mut self) -> Outcome<StmtKind> {
        let name = self.name()?;
        let (parameters, defaults) = self.signature()?;
        let node = self.macro_body(Some(name), parameters, defaults, None)?.0;
        Ok(StmtKind::Macro(Arc::new(node)))
    }

    pub(super) fn call_block(&mut self) -> Outcome<StmtKind> {
        let (parameters, defaults) =
            if self.is_op("(") { self.signature()? } else { Default::default() };
        let line = self.line();
        let call = self.expression()?;
        if !matches!(call.kind, ExprKind::Call(..)) {
            return Err(syntax_error(line, "expected call"));
        }
        let (node, call) = self.macro_body(None, parameters, defaults, Some(call))?;
        let call = call.unwrap_or_else(|| unreachable!("it was handed over"));
        Ok(StmtKind::CallBlock(Arc::new(node), call))
    }

    fn macro_body(
        &mut self,
        name: Option<String>,
        parameters: Vec<String>,
        defaults: Vec<Expr>,
        call: Option<Expr>,
    ) -> Outcome<(Macro, Option<Expr>)> {
        let line = self.line();
        self.special.push([false; 3]);
        let body = self.body(if name.is_some() { &["endmacro"] } else { &["endcall"] })?.0;
        let uses = self.special.pop().unwrap_or_default();
        let at = |name: &str| parameters.iter().position(|parameter| parameter == name);
        let named = SPECIAL.map(|name| at(name).is_some());
        if uses[0] && at("caller").is_some_and(|at| at < parameters.len() - defaults.len()) {
            let what = "the special \"caller\" argument must be omitted or be given a default";
            return Err(syntax_error(line, what));
        }
        for (i, parameter) in parameters.iter().enumerate() {
            if parameters[..i].contains(parameter) {
                let what = format!("duplicate argument '{parameter}' in function definition");
                return Err(syntax_error(line, what));
            }
        }
        let node = Macro {
            name,
            uses_caller: uses[0],
            uses_kwargs: uses[1] && !named[1],
            uses_varargs: uses[2] && !named[2],
            parameters,
            defaults,
            body,
        };
        Ok((node, call))
    }

    /// Notes that a name is read, for the macros that are open.
    pub(super) fn reads(&mut self, name: &str) {
        if let Some(at) = SPECIAL.iter().position(|special| *special == name) {
            self.special.iter_mut().for_each(|open| open[at] = true);
        }
    }

    fn signature(&mut self) -> Outcome<(Vec<String>, Vec<Expr>)> {
        let (mut parameters, mut defaults) = (Vec::new(), Vec::new());
        self.expect_op("(")?;
        while !self.is_op(")") {
            if !parameters.is_empty() {
                self.expect_op(",")?;
            }
            let line = self.line();
            let name = self.name()?;
            assignable(&name, line)?;
            parameters.push(name);
            if self.skip_op("=") {
                defaults.push(self.expression()?);
            } else if !defaults.is_empty() {
                return self.fail("non-default argument follows default argument");
            }
        }
        self.expect_op(")")?;
        Ok((parameters, defaults))
    }
}

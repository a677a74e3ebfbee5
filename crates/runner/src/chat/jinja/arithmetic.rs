//! Python's operators of arithmetic.

use super::ast::BinaryOp;
use super::budget;
use super::compare::defined;
use super::html::escape;
use super::literal::too_long;
use super::raise::{Outcome, raise, type_error, unsupported};
use super::value::Value;

fn sign(operator: BinaryOp) -> &'static str {
    match operator {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::FloorDiv => "//",
        BinaryOp::Mod => "%",
        BinaryOp::Pow => "** or pow()",
    }
}

fn operands(operator: BinaryOp, left: &Value, right: &Value) -> Box<super::raise::Raise> {
    let (sign, left, right) = (sign(operator), left.class(), right.class());
    type_error(format!("unsupported operand type(s) for {sign}: '{left}' and '{right}'"))
}

pub(super) fn binary(operator: BinaryOp, left: &Value, right: &Value) -> Outcome<Value> {
    budget::check()?;
    if let (BinaryOp::Mod, Value::Str(format)) = (operator, left) {
        return super::percent::format(format, right);
    }
    defined(&[left, right])?;
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        return integers(operator, left, right);
    }
    if let (Some(left), Some(right)) = (as_float(left), as_float(right)) {
        return floats(operator, left, right);
    }
    match operator {
        BinaryOp::Add => add(left, right),
        BinaryOp::Mul => multiply(left, right),
        BinaryOp::Mod if matches!(left, Value::Bytes(_)) => {
            Err(unsupported("to format bytes is not supported"))
        }
        BinaryOp::Sub if [left, right].iter().any(|of| matches!(of, Value::View(..))) => {
            Err(unsupported("sets are not supported"))
        }
        _ => Err(operands(operator, left, right)),
    }
}

/// A number as a float, `None` if it is none.
pub(super) fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(of) => Some(*of),
        other => other.as_int().map(|of| of as f64),
    }
}

fn add(left: &Value, right: &Value) -> Outcome<Value> {
    match (left, right) {
        (Value::Str(left), Value::Str(right)) => {
            budget::fits(left.as_str().len() + right.as_str().len())?;
            budget::spend((left.as_str().len() + right.as_str().len()) >> 10)?;
            let markup = left.markup || right.markup;
            let part = |of: &super::value::Text| {
                if markup && !of.markup { escape(of.as_str()) } else { of.as_str().to_owned() }
            };
            Ok(Value::text(part(left) + &part(right), markup))
        }
        (Value::List(of), Value::List(more)) | (Value::Tuple(of), Value::Tuple(more)) => {
            budget::fits((of.len() + more.len()) * size_of::<Value>())?;
            budget::spend((of.len() + more.len()) >> 4)?;
            let items = of.iter().chain(more.iter()).cloned().collect();
            Ok(if matches!(left, Value::List(_)) {
                Value::list(items)
            } else {
                Value::tuple(items)
            })
        }
        (Value::Str(text), _) if text.markup => Err(operands(BinaryOp::Add, left, right)),
        (Value::Str(_), _) => {
            let what = format!("can only concatenate str (not \"{}\") to str", right.class());
            Err(type_error(what))
        }
        (Value::List(_) | Value::Tuple(_), _) => {
            let (left, right) = (left.class(), right.class());
            Err(type_error(format!("can only concatenate {left} (not \"{right}\") to {left}")))
        }
        _ => Err(operands(BinaryOp::Add, left, right)),
    }
}

fn multiply(left: &Value, right: &Value) -> Outcome<Value> {
    let (of, times) = match (left.as_int(), right.as_int()) {
        (None, Some(times)) => (left, times),
        (Some(times), None) => (right, times),
        (None, None) if matches!(left, Value::Str(_) | Value::List(_) | Value::Tuple(_)) => {
            let class = right.class();
            return Err(type_error(format!(
                "can't multiply sequence by non-int of type '{class}'"
            )));
        }
        _ => return Err(operands(BinaryOp::Mul, left, right)),
    };
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    let room = |size: usize| {
        budget::fits(size.saturating_mul(times))?;
        budget::spend(size.saturating_mul(times) >> 10)
    };
    Ok(match of {
        Value::Str(text) => {
            room(text.as_str().len())?;
            Value::text(text.as_str().repeat(times), text.markup)
        }
        Value::List(items) | Value::Tuple(items) => {
            room(items.len() * size_of::<Value>())?;
            let many = items.iter().cycle().take(items.len() * times).cloned().collect();
            if matches!(of, Value::List(_)) { Value::list(many) } else { Value::tuple(many) }
        }
        Value::Bytes(_) => return Err(unsupported("to repeat bytes is not supported")),
        _ => return Err(operands(BinaryOp::Mul, left, right)),
    })
}

fn zero(what: &str) -> Box<super::raise::Raise> {
    raise("ZeroDivisionError", what)
}

fn integers(operator: BinaryOp, left: i128, right: i128) -> Outcome<Value> {
    let result = match operator {
        BinaryOp::Add => left.checked_add(right),
        BinaryOp::Sub => left.checked_sub(right),
        BinaryOp::Mul => left.checked_mul(right),
        BinaryOp::Div => return divide(left, right),
        BinaryOp::FloorDiv | BinaryOp::Mod if right == 0 => {
            return Err(zero("integer division or modulo by zero"));
        }
        BinaryOp::FloorDiv => {
            let inexact = left.checked_rem(right).is_some_and(|rest| rest != 0);
            let down = i128::from(inexact && (left < 0) != (right < 0));
            left.checked_div(right).and_then(|whole| whole.checked_sub(down))
        }
        BinaryOp::Mod => left.checked_rem(right).and_then(|rest| {
            if rest != 0 && (rest < 0) != (right < 0) {
                rest.checked_add(right)
            } else {
                Some(rest)
            }
        }),
        BinaryOp::Pow if right < 0 => {
            if left == 0 {
                return Err(zero("0.0 cannot be raised to a negative power"));
            }
            return Ok(Value::Float((left as f64).powf(right as f64)));
        }
        BinaryOp::Pow => match left {
            0 | 1 => Some(if right == 0 { 1 } else { left }),
            -1 => Some(if right % 2 == 0 { 1 } else { -1 }),
            _ => u32::try_from(right).ok().and_then(|right| left.checked_pow(right)),
        },
    };
    result.map(Value::Int).ok_or_else(too_long)
}

fn divide(left: i128, right: i128) -> Outcome<Value> {
    if right == 0 {
        return Err(zero("division by zero"));
    }
    let exact = |of: i128| of.unsigned_abs() <= 1 << 53;
    if !exact(left) || !exact(right) {
        return Err(unsupported("to divide integers of more than 53 bits is not supported"));
    }
    Ok(Value::Float(left as f64 / right as f64))
}

fn floats(operator: BinaryOp, left: f64, right: f64) -> Outcome<Value> {
    if right == 0.0 {
        match operator {
            BinaryOp::Div => return Err(zero("float division by zero")),
            BinaryOp::FloorDiv => return Err(zero("float floor division by zero")),
            BinaryOp::Mod => return Err(zero("float modulo")),
            _ => {}
        }
    }
    Ok(Value::Float(match operator {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::FloorDiv => floor_division(left, right).0,
        BinaryOp::Mod => floor_division(left, right).1,
        BinaryOp::Pow if left == 0.0 && right < 0.0 => {
            return Err(zero("0.0 cannot be raised to a negative power"));
        }
        BinaryOp::Pow if left < 0.0 && right.is_finite() && right.fract() != 0.0 => {
            return Err(unsupported("complex numbers are not supported"));
        }
        BinaryOp::Pow => {
            let power = left.powf(right);
            if power.is_infinite() && left.is_finite() && right.is_finite() {
                return Err(raise("OverflowError", "(34, 'Numerical result out of range')"));
            }
            power
        }
    }))
}

/// As Python's own `float_floor_div` does it.
fn floor_division(left: f64, right: f64) -> (f64, f64) {
    let mut rest = left % right;
    let mut div = (left - rest) / right;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(right);
    } else if (right < 0.0) != (rest < 0.0) {
        rest += right;
        div -= 1.0;
    }
    let floor = if div == 0.0 {
        0.0_f64.copysign(left / right)
    } else {
        let floor = div.floor();
        if div - floor > 0.5 { floor + 1.0 } else { floor }
    };
    (floor, rest)
}

/// `-` and `+` before a value.
pub(super) fn unary(negative: bool, value: &Value) -> Outcome<Value> {
    defined(&[value])?;
    if let Value::Float(of) = value {
        return Ok(Value::Float(if negative { -of } else { *of }));
    }
    let Some(of) = value.as_int() else {
        let sign = if negative { '-' } else { '+' };
        let class = value.class();
        return Err(type_error(format!("bad operand type for unary {sign}: '{class}'")));
    };
    let result = if negative { of.checked_neg() } else { Some(of) };
    result.map(Value::Int).ok_or_else(too_long)
}

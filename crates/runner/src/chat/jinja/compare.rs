//! Equality, order, membership, identity and truth.

use std::cmp::Ordering;
use std::rc::Rc;

use super::ast::CompareOp;
use super::budget;
use super::iterate::Walk;
use super::raise::{Outcome, raise, type_error, unsupported};
use super::value::{Dict, Object, Value, View};

/// The error of using a value that is not there, if one of these is.
pub(super) fn defined(values: &[&Value]) -> Outcome<()> {
    for value in values {
        if let Value::Undefined(of) = value {
            return Err(raise(of.kind, of.message.clone()));
        }
    }
    Ok(())
}

pub(super) fn truthy(value: &Value) -> bool {
    match value {
        Value::None => false,
        Value::Bool(of) => *of,
        Value::Int(of) => *of != 0,
        Value::Float(of) => *of != 0.0,
        Value::Str(text) => !text.as_str().is_empty(),
        other => other.len() != Some(0),
    }
}

#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Float(of) => Some(Number::Float(*of)),
        other => other.as_int().map(Number::Int),
    }
}

/// Exact, as in Python: an integer is not rounded to a float first.
fn int_float(int: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.abs() >= 1.7e38 {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let whole = float.trunc();
    let by_fraction = || 0.0.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal);
    Some(int.cmp(&(whole as i128)).then_with(by_fraction))
}

fn numbers(left: Number, right: Number) -> Option<Ordering> {
    match (left, right) {
        (Number::Int(left), Number::Int(right)) => Some(left.cmp(&right)),
        (Number::Float(left), Number::Float(right)) => left.partial_cmp(&right),
        (Number::Int(left), Number::Float(right)) => int_float(left, right),
        (Number::Float(left), Number::Int(right)) => int_float(right, left).map(Ordering::reverse),
    }
}

pub(super) fn equal(left: &Value, right: &Value) -> bool {
    equal_at(left, right, 0)
}

/// A value that Python would call identical counts as equal to itself, NaN included.
fn equal_at(left: &Value, right: &Value, depth: usize) -> bool {
    // What takes too long, or nests deeper than Python goes, ends at the next step.
    if depth > budget::DEEPEST || !budget::take(1) {
        budget::take(usize::MAX);
        return false;
    }
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        return numbers(left, right) == Some(Ordering::Equal);
    }
    let all = |left: &[Value], right: &[Value]| {
        left.len() == right.len()
            && left.iter().zip(right).all(|(left, right)| equal_at(left, right, depth + 1))
    };
    match (left, right) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Str(left), Value::Str(right)) => left.as_str() == right.as_str(),
        (Value::Bytes(left), Value::Bytes(right)) => left == right,
        (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
            Rc::ptr_eq(left, right) || all(left, right)
        }
        (Value::Dict(left), Value::Dict(right)) => {
            Rc::ptr_eq(left, right) || equal_dicts(left, right, depth)
        }
        (Value::Range(left), Value::Range(right)) => {
            let (many, same) = (left.len(), left.start == right.start);
            many == right.len() && (many == 0 || same && (many == 1 || left.step == right.step))
        }
        (Value::Iter(left), Value::Iter(right)) => Rc::ptr_eq(left, right),
        (Value::Object(left), Value::Object(right)) => {
            Rc::ptr_eq(left, right)
                || matches!((&**left, &**right),
                    (Object::Global(left), Object::Global(right)) if left == right)
        }
        (Value::View(of, left), Value::View(other, right)) if of != &View::Values => {
            of == other
                && left.entries.len() == right.entries.len()
                && left.entries.iter().all(|(key, value)| {
                    right
                        .get(key)
                        .is_some_and(|other| *of == View::Keys || equal_at(value, other, depth + 1))
                })
        }
        _ => false,
    }
}

fn equal_dicts(left: &Dict, right: &Dict, depth: usize) -> bool {
    left.entries.len() == right.entries.len()
        && left.entries.iter().all(|(key, value)| {
            right.get(key).is_some_and(|other| equal_at(value, other, depth + 1))
        })
}

/// The order of two values, `None` if one is NaN.
fn order(left: &Value, right: &Value, operator: &str, depth: usize) -> Outcome<Option<Ordering>> {
    budget::check()?;
    defined(&[left, right])?;
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        return Ok(numbers(left, right));
    }
    let pair = match (left, right) {
        (Value::Str(left), Value::Str(right)) => {
            return Ok(Some(left.as_str().cmp(right.as_str())));
        }
        (Value::Bytes(left), Value::Bytes(right)) => return Ok(Some(left.cmp(right))),
        (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
            Some((left, right))
        }
        _ => None,
    };
    let Some((of, other)) = pair.filter(|_| depth < budget::DEEPEST) else {
        if let (Value::View(..), Value::View(..)) = (left, right) {
            return Err(unsupported("to order views of dictionaries is not supported"));
        }
        let (left, right) = (left.class(), right.class());
        return Err(type_error(format!(
            "'{operator}' not supported between instances of '{left}' and '{right}'"
        )));
    };
    for (left, right) in of.iter().zip(other.iter()) {
        if !equal_at(left, right, depth + 1) {
            return order(left, right, operator, depth + 1);
        }
    }
    Ok(Some(of.len().cmp(&other.len())))
}

/// Whether `left` is below `right`, as sorting asks.
pub(super) fn less(left: &Value, right: &Value) -> Outcome<bool> {
    Ok(order(left, right, "<", 0)? == Some(Ordering::Less))
}

pub(super) fn compare(operator: CompareOp, left: &Value, right: &Value) -> Outcome<bool> {
    let ordered = |sign, wanted: &[Ordering]| {
        Ok(order(left, right, sign, 0)?.is_some_and(|order| wanted.contains(&order)))
    };
    match operator {
        CompareOp::Eq => Ok(equal(left, right)),
        CompareOp::Ne => Ok(!equal(left, right)),
        CompareOp::Lt => ordered("<", &[Ordering::Less]),
        CompareOp::Le => ordered("<=", &[Ordering::Less, Ordering::Equal]),
        CompareOp::Gt => ordered(">", &[Ordering::Greater]),
        CompareOp::Ge => ordered(">=", &[Ordering::Greater, Ordering::Equal]),
        CompareOp::In => contains(right, left),
        CompareOp::NotIn => Ok(!contains(right, left)?),
    }
}

/// Whether a value can be a key.
pub(super) fn hashable(value: &Value) -> Outcome<()> {
    match value {
        Value::List(_) | Value::Dict(_) | Value::View(..) => {
            Err(type_error(format!("unhashable type: '{}'", value.class())))
        }
        Value::Tuple(items) => items.iter().try_for_each(hashable),
        _ => Ok(()),
    }
}

/// Whether `item` is in `whole`.
pub(super) fn contains(whole: &Value, item: &Value) -> Outcome<bool> {
    match (whole, item) {
        (Value::Str(whole), Value::Str(item)) => Ok(whole.as_str().contains(item.as_str())),
        (Value::Str(_), _) => {
            let class = item.class();
            Err(type_error(format!("'in <string>' requires string as left operand, not {class}")))
        }
        (Value::Bytes(_), _) => Err(unsupported("to look into bytes is not supported")),
        (Value::Dict(dict) | Value::View(View::Keys, dict), _) => {
            hashable(item)?;
            Ok(dict.get(item).is_some())
        }
        (Value::Range(range), _) if !matches!(item, Value::Float(_)) => {
            let Some(item) = item.as_int() else { return Ok(false) };
            let steps = item.checked_sub(range.start).filter(|of| of % range.step == 0);
            Ok(steps.is_some_and(|of| (0..range.len()).contains(&(of / range.step))))
        }
        _ => {
            let mut walk = Walk::of(whole).map_err(|_| {
                type_error(format!("argument of type '{}' is not iterable", whole.class()))
            })?;
            while let Some(of) = walk.next()? {
                if equal(&of, item) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// `is`. Python shares some equal values and not others, which is not told here.
pub(super) fn same(left: &Value, right: &Value) -> Outcome<bool> {
    let told = match (left, right) {
        (Value::None, Value::None) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) if (-5..=256).contains(left) => left == right,
        (Value::Int(left), Value::Int(right)) if left != right => false,
        (Value::Float(left), Value::Float(right)) if left != right => false,
        (Value::Str(left), Value::Str(right)) if left.markup != right.markup => false,
        (Value::Str(left), Value::Str(right)) if left.is(right) => true,
        (Value::Str(left), Value::Str(right)) if left.as_str() != right.as_str() => false,
        // One character of Latin-1, or none, is one object.
        (Value::Str(left), Value::Str(_))
            if left.as_str().chars().all(|c| c <= '\u{ff}')
                && left.as_str().chars().count() < 2 =>
        {
            true
        }
        (Value::List(left), Value::List(right)) => Rc::ptr_eq(left, right),
        (Value::Tuple(left), Value::Tuple(right)) => {
            Rc::ptr_eq(left, right) || left.is_empty() && right.is_empty()
        }
        (Value::Dict(left), Value::Dict(right)) => Rc::ptr_eq(left, right),
        (Value::Object(left), Value::Object(right)) if !matches!(**left, Object::Method(..)) => {
            equal(&Value::Object(left.clone()), &Value::Object(right.clone()))
        }
        (Value::Iter(left), Value::Iter(right)) => Rc::ptr_eq(left, right),
        _ if left.class() != right.class() => false,
        _ => {
            let what = "whether two equal values are one object (sameas) is not told here";
            return Err(unsupported(what));
        }
    };
    Ok(told)
}

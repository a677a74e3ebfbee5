//! Filters that make numbers.

use super::super::arithmetic::{as_float, binary};
use super::super::ast::BinaryOp;
use super::super::call::{Args, int};
use super::super::compare::{defined, truthy};
use super::super::literal::too_long;
use super::super::raise::{Outcome, raise, type_error, unsupported, value_error};
use super::super::unicode::{digit_value, is_space};
use super::super::value::Value;

pub(super) fn apply(name: &str, value: &Value, args: Args) -> Outcome<Value> {
    match name {
        "abs" => {
            let [] = args.places(name, 0)?;
            match value {
                Value::Float(of) => Ok(Value::Float(of.abs())),
                other => match other.as_int() {
                    Some(of) => of.checked_abs().map(Value::Int).ok_or_else(too_long),
                    None => {
                        Err(type_error(format!("bad operand type for abs(): '{}'", other.class())))
                    }
                },
            }
        }
        "int" => {
            let [default, base] = args.bind(name, ["default", "base"], 0)?;
            let base = int(base.as_ref(), 10)?;
            to_int(value, default.unwrap_or(Value::Int(0)), base)
        }
        "float" => {
            let [default] = args.bind(name, ["default"], 0)?;
            match to_float(value) {
                Ok(of) => Ok(Value::Float(of)),
                Err(error) if matches!(error.kind, "TypeError" | "ValueError") => {
                    Ok(default.unwrap_or(Value::Float(0.0)))
                }
                Err(error) => Err(error),
            }
        }
        "filesizeformat" => {
            let [binary] = args.bind(name, ["binary"], 0)?;
            file_size(to_float(value)?, binary.is_some_and(|of| truthy(&of)))
        }
        _ => {
            let [precision, method] = args.bind(name, ["precision", "method"], 0)?;
            round(value, precision.as_ref(), method.as_ref())
        }
    }
}

/// What `float(value)` is.
pub(in super::super) fn to_float(value: &Value) -> Outcome<f64> {
    defined(&[value])?;
    if let Some(of) = as_float(value) {
        return Ok(of);
    }
    let Value::Str(text) = value else {
        let class = value.class();
        return Err(type_error(format!(
            "float() argument must be a string or a real number, not '{class}'"
        )));
    };
    let wrong = || value_error(format!("could not convert string to float: {:?}", text.as_str()));
    let trimmed = ascii_digits(text.as_str().trim_matches(is_space));
    let body = trimmed.trim_start_matches(['+', '-']).to_ascii_lowercase();
    if matches!(body.as_str(), "inf" | "infinity" | "nan") {
        return trimmed.parse().map_err(|_| wrong());
    }
    // One underscore may stand between two digits.
    let bytes = trimmed.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let plain = bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'_' => digit(at.checked_sub(1)) && digit(Some(at + 1)),
        byte => byte.is_ascii_digit() || b"+-.eE".contains(byte),
    });
    if !plain {
        return Err(wrong());
    }
    trimmed.replace('_', "").parse().map_err(|_| wrong())
}

/// Digits of any script as ASCII.
fn ascii_digits(text: &str) -> String {
    let ascii = |c: char| match digit_value(c) {
        Some(digit) => (b'0' + digit) as char,
        None => c,
    };
    text.chars().map(ascii).collect()
}

fn to_int(value: &Value, default: Value, base: i128) -> Outcome<Value> {
    let whole = |of: f64| {
        if of.abs() >= 1e38 { Err(too_long()) } else { Ok(Value::Int(of.trunc() as i128)) }
    };
    match value {
        Value::Undefined(_) => {
            defined(&[value])?;
            Ok(default)
        }
        Value::Float(of) if of.is_infinite() => {
            Err(raise("OverflowError", "cannot convert float infinity to integer"))
        }
        Value::Float(of) if of.is_nan() => Ok(default),
        Value::Float(of) => whole(*of),
        Value::Str(text) => match parse_int(text.as_str(), base)? {
            Some(of) => Ok(Value::Int(of)),
            None => match to_float(value) {
                Ok(of) if of.is_finite() => whole(of),
                Ok(_) => Ok(default),
                Err(error) if matches!(error.kind, "TypeError" | "ValueError") => Ok(default),
                Err(error) => Err(error),
            },
        },
        Value::Bytes(_) => Err(unsupported("int of bytes is not supported")),
        other => Ok(other.as_int().map_or(default, Value::Int)),
    }
}

/// What `int(text, base)` is, `None` if it is none.
fn parse_int(text: &str, base: i128) -> Outcome<Option<i128>> {
    if base != 0 && !(2..=36).contains(&base) {
        return Ok(None);
    }
    let text = ascii_digits(text.trim_matches(is_space)).to_ascii_lowercase();
    let (negative, mut digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let mut radix = base as u32;
    for (prefix, of) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = digits.strip_prefix(prefix)
            && (base == 0 || base == i128::from(of))
        {
            digits = rest.strip_prefix('_').unwrap_or(rest);
            radix = of;
        }
    }
    if radix == 0 {
        let zeros = digits.chars().all(|c| matches!(c, '0' | '_'));
        if digits.starts_with('0') && !zeros {
            return Ok(None);
        }
        radix = 10;
    }
    let misplaced = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    let digits = digits.replace('_', "");
    if misplaced || digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Ok(None);
    }
    let signed = if negative { format!("-{digits}") } else { digits };
    i128::from_str_radix(&signed, radix).map(Some).map_err(|_| too_long())
}

fn round(value: &Value, precision: Option<&Value>, method: Option<&Value>) -> Outcome<Value> {
    let method = method.map_or(Ok("common"), |of| super::super::call::string(of, "method"))?;
    if !matches!(method, "common" | "ceil" | "floor") {
        return Err(raise("FilterArgumentError", "method must be common, ceil or floor"));
    }
    defined(&[value])?;
    if method == "common" {
        return common(value, precision);
    }
    let ten = Value::Int(10);
    let factor = binary(BinaryOp::Pow, &ten, precision.unwrap_or(&Value::Int(0)))?;
    let scaled = binary(BinaryOp::Mul, value, &factor)?;
    let whole = match scaled {
        Value::Float(of) if !of.is_finite() => {
            return Err(raise("OverflowError", "cannot convert float infinity to integer"));
        }
        Value::Float(of) => {
            let of = if method == "ceil" { of.ceil() } else { of.floor() };
            if of.abs() >= 1e38 {
                return Err(too_long());
            }
            Value::Int(of as i128)
        }
        other => match other.as_int() {
            Some(of) => Value::Int(of),
            None => {
                return Err(type_error(format!("must be real number, not {}", other.class())));
            }
        },
    };
    binary(BinaryOp::Div, &whole, &factor)
}

fn common(value: &Value, precision: Option<&Value>) -> Outcome<Value> {
    let wrong = || type_error(format!("type {} doesn't define __round__ method", value.class()));
    if let Some(Value::None) = precision {
        // Without a precision it is an integer.
        return match value {
            Value::Float(of) if !of.is_finite() => {
                Err(raise("OverflowError", "cannot convert float infinity to integer"))
            }
            Value::Float(of) if of.abs() < 1e38 => Ok(Value::Int(of.round_ties_even() as i128)),
            Value::Float(_) => Err(too_long()),
            other => other.as_int().map(Value::Int).ok_or_else(wrong),
        };
    }
    let places = int(precision, 0)?;
    match value {
        Value::Float(of) if !of.is_finite() => Ok(value.clone()),
        Value::Float(of) => rounded(*of, places).map(Value::Float),
        other => {
            let of = other.as_int().ok_or_else(wrong)?;
            if places >= 0 {
                return Ok(Value::Int(of));
            }
            let Some(unit) = u32::try_from(-places).ok().and_then(|of| 10_i128.checked_pow(of))
            else {
                return Ok(Value::Int(0));
            };
            let below = of.div_euclid(unit);
            let rest = of.rem_euclid(unit);
            let up = rest * 2 > unit || rest * 2 == unit && below % 2 != 0;
            (below + i128::from(up)).checked_mul(unit).map(Value::Int).ok_or_else(too_long)
        }
    }
}

/// To so many digits behind the point, the exact decimal decides.
fn rounded(of: f64, places: i128) -> Outcome<f64> {
    if places > 323 {
        return Ok(of);
    }
    if places < -308 {
        return Ok(0.0_f64.copysign(of));
    }
    let wrong = |_| unsupported("a number that is no number");
    if places >= 0 {
        return format!("{of:.0$}", places as usize).parse().map_err(wrong);
    }
    // In front of the point: by the digits of the whole number, which are exact.
    let unit = (-places) as usize;
    let text = format!("{:.0}", of.abs().trunc());
    if text.len() < unit {
        return Ok(0.0_f64.copysign(of));
    }
    let (kept, rest) = text.split_at(text.len() - unit);
    let half = format!("5{}", "0".repeat(unit - 1));
    let exact = of.fract() == 0.0;
    let odd = kept.bytes().next_back().is_some_and(|digit| (digit - b'0') % 2 == 1);
    let up = rest > half.as_str() || rest == half && (!exact || odd);
    let kept: i128 = if kept.is_empty() { 0 } else { kept.parse().map_err(|_| too_long())? };
    let size = format!("{}e{unit}", kept + i128::from(up)).parse::<f64>().map_err(wrong)?;
    if size.is_infinite() {
        return Err(raise("OverflowError", "rounded value too large to represent"));
    }
    Ok(size.copysign(of))
}

fn file_size(bytes: f64, binary: bool) -> Outcome<Value> {
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    let prefixes = if binary {
        ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    } else {
        ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    };
    if bytes == 1.0 {
        return Ok(Value::str("1 Byte"));
    }
    if bytes < base {
        let whole = apply("int", &Value::Float(bytes), Args::default())?;
        return Ok(Value::str(format!("{} Bytes", super::super::repr::string(&whole)?)));
    }
    let mut unit = base;
    for prefix in prefixes {
        unit *= base;
        if bytes < unit || prefix.starts_with('Y') {
            return Ok(Value::str(format!("{:.1} {prefix}", base * bytes / unit)));
        }
    }
    Err(unsupported("a size that is no size"))
}

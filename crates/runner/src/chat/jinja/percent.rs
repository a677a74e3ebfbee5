//! `format % values`.

use super::budget;
use super::call::int;
use super::compare::hashable;
use super::format_spec::{Spec, alternate, float_text, group_sign};
use super::html::escape;
use super::raise::{Outcome, raise, type_error, value_error};
use super::repr;
use super::value::{Text, Value};

/// Where the values come from.
struct Values<'v> {
    given: &'v [Value],
    at: usize,
    mapping: Option<&'v Value>,
    markup: bool,
}

impl Values<'_> {
    fn next(&mut self) -> Outcome<Value> {
        let value = self.given.get(self.at).cloned();
        self.at += 1;
        value.ok_or_else(|| type_error("not enough arguments for format string"))
    }

    fn named(&self, name: &str) -> Outcome<Value> {
        let Some(mapping) = self.mapping else {
            return Err(type_error("format requires a mapping"));
        };
        super::compare::defined(&[mapping])?;
        match mapping {
            Value::Dict(dict) => {
                let quoted = || repr::repr(&Value::str(name)).unwrap_or_default();
                dict.get_str(name).cloned().ok_or_else(|| raise("KeyError", quoted()))
            }
            other => {
                hashable(other)?;
                let class = other.class();
                Err(type_error(format!("{class} indices must be integers or slices, not str")))
            }
        }
    }
}

pub(super) fn format(format: &Text, right: &Value) -> Outcome<Value> {
    let tuple = if let Value::Tuple(items) = right { Some(&items[..]) } else { None };
    let mapping = match right {
        Value::Dict(_)
        | Value::List(_)
        | Value::Range(_)
        | Value::Undefined(_)
        | Value::Bytes(_) => Some(right),
        _ => None,
    };
    let single = std::slice::from_ref(right);
    let mut values =
        Values { given: tuple.unwrap_or(single), at: 0, mapping, markup: format.markup };
    let mut out = String::new();
    let mut rest = format.as_str();
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        directive(&mut rest, &mut values, &mut out)?;
        budget::fits(out.len())?;
    }
    out.push_str(rest);
    let left_over = match tuple {
        Some(tuple) => values.at < tuple.len(),
        None => mapping.is_none() && values.at == 0,
    };
    if left_over {
        return Err(type_error("not all arguments converted during string formatting"));
    }
    Ok(Value::text(out, format.markup))
}

fn directive(rest: &mut &str, values: &mut Values<'_>, out: &mut String) -> Outcome<()> {
    let named = match rest.strip_prefix('(') {
        Some(inner) => {
            let mut depth = 1;
            let end = inner.char_indices().find(|(_, c)| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                depth == 0
            });
            let (end, _) = end.ok_or_else(|| value_error("incomplete format key"))?;
            *rest = &inner[end + 1..];
            Some(values.named(&inner[..end])?)
        }
        None => None,
    };
    let flags = &rest[..rest.find(|c| !"#0- +".contains(c)).unwrap_or(rest.len())];
    *rest = &rest[flags.len()..];
    let has = |flag: char| flags.contains(flag);
    let mut left = has('-');
    let width = match length(rest, values)? {
        Some(width) if width < 0 => {
            left = true;
            -width
        }
        width => width.unwrap_or(0),
    };
    let precision = match rest.strip_prefix('.') {
        Some(after) => {
            *rest = after;
            Some(length(rest, values)?.unwrap_or(0).max(0))
        }
        None => None,
    };
    *rest = rest.trim_start_matches(['h', 'l', 'L']);
    let Some(kind) = rest.chars().next() else { return Err(value_error("incomplete format")) };
    *rest = &rest[kind.len_utf8()..];
    let size = |of: i128| usize::try_from(of).unwrap_or(usize::MAX);
    let zeros = has('0') && !left && !"srac".contains(kind);
    let spec = Spec {
        align: if left {
            '<'
        } else if zeros {
            '='
        } else {
            '>'
        },
        fill: if zeros { '0' } else { ' ' },
        sign: if has('+') {
            '+'
        } else if has(' ') {
            ' '
        } else {
            '-'
        },
        alternate: has('#'),
        width: size(width),
        precision: precision.map(size),
        ..Spec::default()
    };
    budget::fits(spec.width.saturating_add(spec.precision.unwrap_or(0)))?;
    let value = match named {
        Some(value) => value,
        None => values.next()?,
    };
    out.push_str(&converted(kind, &value, &spec, values.markup)?);
    Ok(())
}

/// A width or a precision: digits, or `*` for one among the values.
fn length(rest: &mut &str, values: &mut Values<'_>) -> Outcome<Option<i128>> {
    if let Some(after) = rest.strip_prefix('*') {
        *rest = after;
        let value = values.next()?;
        return match value.as_int() {
            Some(of) => Ok(Some(of)),
            None => Err(type_error("* wants int")),
        };
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number = rest[..digits].parse::<i32>().ok().map(i128::from);
    if digits > 0 && number.is_none() {
        return Err(value_error("width too big"));
    }
    *rest = &rest[digits..];
    Ok(number)
}

fn converted(kind: char, value: &Value, spec: &Spec, markup: bool) -> Outcome<String> {
    match kind {
        's' | 'r' | 'a' => {
            let text = match kind {
                's' => repr::string(value)?,
                'r' => repr::repr(value)?,
                _ => super::format_spec::ascii(&repr::repr(value)?),
            };
            let is_markup = matches!(value, Value::Str(text) if text.markup) && kind == 's';
            let text = if markup && !is_markup { escape(&text) } else { text };
            Ok(spec.pad(&spec.cut(&text)))
        }
        'c' => {
            let text = match value {
                Value::Str(text) if text.as_str().chars().count() == 1 => text.as_str().to_owned(),
                other => {
                    let code =
                        int(Some(other), 0).map_err(|_| type_error("%c requires int or char"))?;
                    let c = u32::try_from(code).ok().and_then(char::from_u32);
                    let out = || raise("OverflowError", "%c arg not in range(0x110000)");
                    c.ok_or_else(out)?.to_string()
                }
            };
            Ok(spec.pad(&text))
        }
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
            let number = whole(kind, value)?;
            let digits = match kind {
                'x' => format!("{:x}", number.unsigned_abs()),
                'X' => format!("{:X}", number.unsigned_abs()),
                'o' => format!("{:o}", number.unsigned_abs()),
                _ => number.unsigned_abs().to_string(),
            };
            let digits = format!("{:0>1$}", digits, spec.precision.unwrap_or(0));
            let prefix = if spec.alternate { alternate(kind) } else { "" };
            Ok(group_sign(spec, number < 0, prefix, &digits))
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            super::compare::defined(&[value])?;
            let number = super::filters::numbers::to_float(value)
                .map_err(|_| type_error(format!("must be real number, not {}", value.class())))?;
            let number = match value {
                Value::Str(_) => return Err(type_error("must be real number, not str")),
                _ => number,
            };
            let digits = float_text(kind, number.abs(), spec);
            let negative = number.is_sign_negative() && !number.is_nan();
            Ok(group_sign(spec, negative, "", &digits))
        }
        other => Err(value_error(format!(
            "unsupported format character '{other}' (0x{:x})",
            other as u32
        ))),
    }
}

fn whole(kind: char, value: &Value) -> Outcome<i128> {
    match value {
        Value::Float(of) if "diu".contains(kind) => {
            if !of.is_finite() {
                return Err(value_error("cannot convert float to integer"));
            }
            if of.abs() >= 1e38 {
                return Err(super::literal::too_long());
            }
            Ok(of.trunc() as i128)
        }
        other => {
            super::compare::defined(&[other])?;
            other.as_int().ok_or_else(|| {
                let (what, class) = if "diu".contains(kind) {
                    ("a real number is required", other.class())
                } else {
                    ("an integer is required", other.class())
                };
                type_error(format!("%{kind} format: {what}, not {class}"))
            })
        }
    }
}

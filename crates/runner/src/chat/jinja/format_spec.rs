//! Python's format specifications, as `format()` and `%` obey them.

use super::budget;
use super::raise::{Outcome, value_error};
use super::repr;
use super::value::Value;

#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) fill: char,
    /// `<`, `>`, `^` or `=`; a NUL for none.
    pub(super) align: char,
    pub(super) sign: char,
    pub(super) alternate: bool,
    pub(super) width: usize,
    pub(super) grouping: Option<char>,
    pub(super) precision: Option<usize>,
    pub(super) kind: Option<char>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            fill: ' ',
            align: '\0',
            sign: '-',
            alternate: false,
            width: 0,
            grouping: None,
            precision: None,
            kind: None,
        }
    }
}

impl Spec {
    fn parse(text: &str) -> Outcome<Self> {
        let mut spec = Self::default();
        let mut rest = text;
        let mut chars = text.chars();
        let (first, second) = (chars.next(), chars.next());
        if let (Some(fill), Some(align)) = (first, second.filter(|c| "<>=^".contains(*c))) {
            (spec.fill, spec.align) = (fill, align);
            rest = &rest[fill.len_utf8() + 1..];
        } else if let Some(align) = first.filter(|c| "<>=^".contains(*c)) {
            spec.align = align;
            rest = &rest[1..];
        }
        let mut take = |set: &str| {
            let c = rest.chars().next().filter(|c| set.contains(*c))?;
            rest = &rest[c.len_utf8()..];
            Some(c)
        };
        spec.sign = take("+- ").unwrap_or('-');
        spec.alternate = take("#").is_some();
        if take("0").is_some() && spec.align == '\0' {
            (spec.fill, spec.align) = ('0', '=');
        }
        let too_many = || value_error("Too many decimal digits in format string");
        let number = |rest: &mut &str| -> Outcome<Option<usize>> {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number = rest[..digits].parse::<u32>();
            *rest = &rest[digits..];
            if digits == 0 {
                Ok(None)
            } else {
                number.map(|of| Some(of as usize)).map_err(|_| too_many())
            }
        };
        spec.width = number(&mut rest)?.unwrap_or(0);
        if let Some(c) = rest.chars().next().filter(|c| matches!(c, ',' | '_')) {
            spec.grouping = Some(c);
            rest = &rest[1..];
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            let missing = || value_error("Format specifier missing precision");
            spec.precision = Some(number(&mut rest)?.ok_or_else(missing)?);
        }
        let mut kind = rest.chars();
        spec.kind = kind.next();
        if !kind.as_str().is_empty() {
            return Err(value_error(format!("Invalid format specifier '{text}'")));
        }
        budget::fits(spec.width.saturating_add(spec.precision.unwrap_or(0)))?;
        Ok(spec)
    }

    pub(super) fn cut(&self, text: &str) -> String {
        text.chars().take(self.precision.unwrap_or(usize::MAX)).collect()
    }

    /// Fills up to the width; a text without an alignment stands left.
    pub(super) fn pad(&self, text: &str) -> String {
        let room = self.width.saturating_sub(text.chars().count());
        let before = match self.align {
            '>' | '=' => room,
            '^' => room / 2,
            _ => 0,
        };
        let fill = |count: usize| self.fill.to_string().repeat(count);
        fill(before) + text + &fill(room - before)
    }
}

/// `0x` and its like.
pub(super) fn alternate(kind: char) -> &'static str {
    match kind {
        'x' => "0x",
        'X' => "0X",
        'o' => "0o",
        'b' => "0b",
        _ => "",
    }
}

/// A number with its sign, padded; zeros go between the sign and the digits.
pub(super) fn group_sign(spec: &Spec, negative: bool, prefix: &str, digits: &str) -> String {
    let sign = match spec.sign {
        _ if negative => "-",
        '+' => "+",
        ' ' => " ",
        _ => "",
    };
    let head = format!("{sign}{prefix}");
    let inside = spec.align == '=';
    let zeros = inside && spec.fill == '0';
    let room = spec.width.saturating_sub(head.len());
    let mut body = grouped(digits, spec, if zeros { room } else { 0 });
    if inside {
        let room = spec.width.saturating_sub(head.len() + body.chars().count());
        body = spec.fill.to_string().repeat(room) + &body;
        return head + &body;
    }
    let spec = Spec { align: if spec.align == '\0' { '>' } else { spec.align }, ..spec.clone() };
    spec.pad(&(head + &body))
}

/// Digits in groups, with zeros in front up to `width`.
fn grouped(digits: &str, spec: &Spec, width: usize) -> String {
    let Some(separator) = spec.grouping else { return digits.to_owned() };
    let size = if matches!(spec.kind, Some('x' | 'X' | 'o' | 'b')) { 4 } else { 3 };
    let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    let end =
        if size == 3 { digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(end) } else { end };
    let (whole, rest) = digits.split_at(end);
    let mut out: Vec<char> = Vec::new();
    let mut source = whole.chars().rev();
    let mut count = 0;
    loop {
        let next = source.next();
        if next.is_none() && out.len() + rest.len() >= width {
            break;
        }
        if count > 0 && count % size == 0 {
            out.push(separator);
            if next.is_none() && out.len() + rest.len() > width {
                out.pop();
                break;
            }
        }
        out.push(next.unwrap_or('0'));
        count += 1;
    }
    out.iter().rev().collect::<String>() + rest
}

/// The digits of a float that is not negative.
pub(super) fn float_text(kind: char, number: f64, spec: &Spec) -> String {
    let precision = spec.precision.unwrap_or(6);
    let text = if number.is_nan() {
        "nan".to_owned()
    } else if number.is_infinite() {
        "inf".to_owned()
    } else {
        match kind.to_ascii_lowercase() {
            'f' => format!("{number:.precision$}"),
            'e' => exponent(number, precision),
            '%' => format!("{:.precision$}%", number * 100.0),
            _ => general(number, precision.max(1), spec.alternate, 0),
        }
    };
    if kind.is_uppercase() { text.to_uppercase() } else { text }
}

fn exponent(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let sign = if power.starts_with('-') { '-' } else { '+' };
    format!("{digits}e{sign}{:0>2}", power.trim_start_matches('-'))
}

/// `%g`: an exponent for what is large or small, no zeros at the end.
fn general(number: f64, precision: usize, keep_zeros: bool, add_point: usize) -> String {
    let scientific = format!("{number:.*e}", precision - 1);
    let power = scientific.split_once('e').and_then(|(_, power)| power.parse::<i64>().ok());
    let power = power.unwrap_or(0);
    let stripped = |text: &str| {
        if keep_zeros || !text.contains('.') {
            return text.to_owned();
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if power < -4 || power >= precision as i64 - add_point as i64 {
        let text = exponent(number, precision - 1);
        let (digits, power) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{power}", stripped(digits));
    }
    let decimals = (precision as i64 - 1 - power).max(0) as usize;
    stripped(&format!("{number:.decimals$}"))
}

/// What is not ASCII as escapes.
pub(super) fn ascii(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            repr::push_escape(c, &mut out);
        }
    }
    out
}

/// What `format(value, spec)` is.
pub(super) fn format(value: &Value, text: &str) -> Outcome<String> {
    if text.is_empty() {
        return repr::string(value);
    }
    let unknown = |kind: char| {
        let class = value.class();
        value_error(format!("Unknown format code '{kind}' for object of type '{class}'"))
    };
    match value {
        Value::Str(of) => {
            let spec = Spec::parse(text)?;
            match spec.kind {
                None | Some('s') => {}
                Some(kind) => return Err(unknown(kind)),
            }
            if spec.sign != '-'
                || spec.alternate
                || spec.grouping.is_some()
                || spec.align == '=' && spec.fill != '0'
            {
                return Err(value_error("format specifier not allowed in string format"));
            }
            let align = if spec.align == '=' { '<' } else { spec.align };
            let spec = Spec { align, ..spec };
            Ok(spec.pad(&spec.cut(of.as_str())))
        }
        Value::Float(of) => float(*of, &Spec::parse(text)?, unknown),
        other => {
            let Some(of) = other.as_int() else {
                let class = other.class();
                return Err(super::raise::type_error(format!(
                    "unsupported format string passed to {class}.__format__"
                )));
            };
            whole(of, matches!(other, Value::Bool(_)), &Spec::parse(text)?, unknown)
        }
    }
}

fn whole(
    of: i128,
    is_bool: bool,
    spec: &Spec,
    unknown: impl Fn(char) -> Box<super::raise::Raise>,
) -> Outcome<String> {
    let size = of.unsigned_abs();
    if spec.precision.is_some()
        && !matches!(spec.kind, Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%'))
    {
        return Err(value_error("Precision not allowed in integer format specifier"));
    }
    let digits = match spec.kind {
        None if is_bool && spec.width == 0 => size.to_string(),
        None | Some('d' | 'n') => size.to_string(),
        Some('x') => format!("{size:x}"),
        Some('X') => format!("{size:X}"),
        Some('o') => format!("{size:o}"),
        Some('b') => format!("{size:b}"),
        Some('c') => {
            let c = u32::try_from(of).ok().and_then(char::from_u32);
            return Ok(spec
                .pad(&c.ok_or_else(|| value_error("%c arg not in range(0x110000)"))?.to_string()));
        }
        Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => return float(of as f64, spec, unknown),
        Some(kind) => return Err(unknown(kind)),
    };
    let prefix = if spec.alternate { alternate(spec.kind.unwrap_or('d')) } else { "" };
    Ok(group_sign(spec, of < 0, prefix, &digits))
}

fn float(
    of: f64,
    spec: &Spec,
    unknown: impl Fn(char) -> Box<super::raise::Raise>,
) -> Outcome<String> {
    let size = of.abs();
    let digits = match spec.kind {
        Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) => float_text(kind, size, spec),
        Some('n') => float_text('g', size, spec),
        None => match spec.precision {
            Some(precision) if size.is_finite() => {
                // As `g`, with one digit behind the point at least.
                let text = general(size, precision.max(1), spec.alternate, 1);
                if text.contains(['.', 'e']) { text } else { text + ".0" }
            }
            _ => repr::float(size),
        },
        Some(kind) => return Err(unknown(kind)),
    };
    let negative = of.is_sign_negative() && !of.is_nan();
    Ok(group_sign(spec, negative, "", &digits))
}

//! The methods of Python's values. Those that change what they are called on are not among them: the
//! sandbox of transformers refuses these too.

mod search;
mod split;
mod text;

pub(super) use split::lines;
pub(super) use text::{center_left, replaced};

use super::access::view;
use super::call::Args;
use super::compare::{equal, hashable};
use super::machine::Machine;
use super::raise::{Outcome, type_error, unsupported, value_error};
use super::value::Value;

const TEXT: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];
/// What a text that is safe in HTML has besides.
const MARKUP: &[&str] = &["escape", "striptags", "unescape"];
const BYTES: &[&str] = &[
    "capitalize",
    "center",
    "count",
    "decode",
    "endswith",
    "expandtabs",
    "find",
    "fromhex",
    "hex",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdigit",
    "islower",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];
const LIST: &[&str] = &[
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
    "sort",
];
const DICT: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];
const INT: &[&str] = &[
    "as_integer_ratio",
    "bit_count",
    "bit_length",
    "conjugate",
    "denominator",
    "from_bytes",
    "imag",
    "is_integer",
    "numerator",
    "real",
    "to_bytes",
];
const FLOAT: &[&str] =
    &["as_integer_ratio", "conjugate", "fromhex", "hex", "imag", "is_integer", "real"];

/// Whether Python's class of a value has this name, which does not begin with an underscore.
pub(super) fn has(of: &Value, name: &str) -> bool {
    let names = match of {
        Value::Str(text) if text.markup && MARKUP.contains(&name) => MARKUP,
        Value::Str(_) => TEXT,
        Value::Bytes(_) => BYTES,
        Value::List(_) => LIST,
        Value::Tuple(items) if items.group => &["count", "grouper", "index", "list"],
        Value::Tuple(_) => &["count", "index"],
        Value::Dict(_) => DICT,
        Value::Int(_) | Value::Bool(_) => INT,
        Value::Float(_) => FLOAT,
        Value::Range(_) => &["count", "index", "start", "step", "stop"],
        Value::View(super::value::View::Values, _) => &["mapping"],
        Value::View(..) => &["isdisjoint", "mapping"],
        Value::Iter(iter) if iter.class == "generator" => &["close", "send", "throw"],
        _ => &[],
    };
    names.contains(&name)
}

pub(super) fn call(
    machine: &mut Machine<'_>,
    of: &Value,
    name: &str,
    args: Args,
) -> Outcome<Value> {
    match (of, name) {
        (Value::Str(receiver), _) => match text::call(machine, receiver, name, args) {
            Some(result) => result,
            None => refused(of, name),
        },
        (Value::List(_) | Value::Tuple(_) | Value::Range(_), "index" | "count") => {
            sequence(of, name, args)
        }
        (Value::List(items), "copy") => {
            let [] = args.places(name, 0)?;
            Ok(Value::list(items.to_vec()))
        }
        (Value::Dict(dict), "copy") => {
            let [] = args.places(name, 0)?;
            Ok(Value::Dict(super::value::Dict::new(dict.entries.clone())))
        }
        (Value::Dict(dict), "get") => {
            let [key, default] = args.places(name, 1)?;
            let key = key.unwrap_or(Value::None);
            hashable(&key)?;
            Ok(dict.get(&key).cloned().or(default).unwrap_or(Value::None))
        }
        (Value::Dict(dict), "keys" | "values" | "items") => {
            let [] = args.places(name, 0)?;
            Ok(Value::View(view(name), dict.clone()))
        }
        (Value::Bytes(bytes), "decode") => {
            let [encoding, errors] = args.bind(name, ["encoding", "errors"], 0)?;
            utf8(encoding.as_ref(), errors.as_ref())?;
            let text = std::str::from_utf8(bytes).map_err(|_| {
                super::raise::raise("UnicodeDecodeError", "'utf-8' codec can't decode bytes")
            })?;
            Ok(Value::str(text))
        }
        // Which Pythons have `is_integer` of an int depends on their version.
        (Value::Int(_) | Value::Bool(_), "bit_length" | "bit_count" | "conjugate") => {
            let [] = args.places(name, 0)?;
            let number = of.as_int().unwrap_or_default();
            Ok(match name {
                "bit_length" => Value::Int(i128::from(128 - number.unsigned_abs().leading_zeros())),
                "bit_count" => Value::Int(i128::from(number.unsigned_abs().count_ones())),
                _ => Value::Int(number),
            })
        }
        (Value::Float(number), "is_integer" | "conjugate") => {
            let [] = args.places(name, 0)?;
            let whole = number.is_finite() && number.fract() == 0.0;
            Ok(if name == "conjugate" { of.clone() } else { Value::Bool(whole) })
        }
        _ => refused(of, name),
    }
}

fn refused(of: &Value, name: &str) -> Outcome<Value> {
    Err(unsupported(format!("the method {name} of {} is not supported", of.class())))
}

/// Refuses encodings but UTF-8.
fn utf8(encoding: Option<&Value>, errors: Option<&Value>) -> Outcome<()> {
    let name = encoding.map_or(Ok("utf-8"), |name| super::call::string(name, "encoding"))?;
    let known = matches!(name.to_lowercase().replace('_', "-").as_str(), "utf-8" | "utf8");
    let strict = errors.is_none_or(|errors| errors.as_str() == Some("strict"));
    if known && strict {
        return Ok(());
    }
    Err(unsupported(format!("the encoding {name} is not supported")))
}

fn sequence(of: &Value, name: &str, args: Args) -> Outcome<Value> {
    let items = super::iterate::items(of)?;
    if name == "count" {
        let [wanted] = args.places(name, 1)?;
        let wanted = wanted.unwrap_or(Value::None);
        let count = items.iter().filter(|item| equal(item, &wanted)).count();
        return Ok(Value::Int(count as i128));
    }
    let [wanted, start, stop] = args.places(name, 1)?;
    let wanted = wanted.unwrap_or(Value::None);
    if matches!(of, Value::Range(_)) && start.is_some() {
        return Err(type_error("range.index() takes exactly one argument"));
    }
    let length = items.len() as i128;
    let place = |at: Option<Value>, default: i128| -> Outcome<usize> {
        let at = super::call::int(at.as_ref(), default)?;
        let at = if at < 0 { at.saturating_add(length) } else { at };
        Ok(at.clamp(0, length) as usize)
    };
    let (start, stop) = (place(start, 0)?, place(stop, length)?);
    let found = (start..stop).find(|at| equal(&items[*at], &wanted));
    match found {
        Some(at) => Ok(Value::Int(at as i128)),
        None if matches!(of, Value::Tuple(_)) => Err(value_error("tuple.index(x): x not in tuple")),
        None => {
            let item = super::repr::repr(&wanted)?;
            Err(value_error(format!("{item} is not in {}", of.class())))
        }
    }
}

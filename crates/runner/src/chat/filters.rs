//! Filters of minijinja whose numbers say how much memory they take, or how long.

use minijinja::value::{Kwargs, Rest, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};

/// No template indents, or cuts, by more.
const LARGEST: i64 = 10_000;

/// Puts a limit on the numbers that these filters are given.
pub(super) fn limit(environment: &mut Environment<'static>) {
    let filters = [
        ("indent", Value::from_function(filters::indent)),
        ("batch", Value::from_function(filters::batch)),
        ("slice", Value::from_function(filters::slice)),
        ("format", Value::from_function(filters::format)),
    ];
    for (name, filter) in filters {
        let limited = move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            let fits = if name == "format" {
                args.first().is_none_or(|format| !has_long_number(&format.to_string()))
            } else {
                args.get(1).is_none_or(fits)
            };
            if !fits {
                let what = format!("{name}: a number is above {LARGEST}");
                return Err(Error::new(ErrorKind::InvalidOperation, what));
            }
            filter.call(state, &args)
        };
        environment.add_filter(name, limited);
    }
}

fn fits(value: &Value) -> bool {
    match Kwargs::try_from(value.clone()) {
        Ok(named) => named.args().all(|name| named.peek::<Value>(name).is_ok_and(|of| fits(&of))),
        // What is no number does not count, and what is too large for one is.
        Err(_) => !value.is_number() || i64::try_from(value.clone()).is_ok_and(|n| n <= LARGEST),
    }
}

/// Whether a format has a width or a precision of more than four digits.
fn has_long_number(format: &str) -> bool {
    format.split(|c: char| !c.is_ascii_digit()).any(|number| number.len() > 4)
}

//! `strftime_now`: the date, as templates put it into a system prompt.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    static NOW: Cell<Option<u64>> = const { Cell::new(None) };
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Sets the clock of this thread, in seconds since 1970; `None` for the machine's.
pub(super) fn set(now: Option<u64>) {
    NOW.set(now);
}

/// Seconds since 1970, by the machine's clock.
pub(crate) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The present time in UTC. (transformers takes the local time; the standard library knows of no
/// time zones.)
pub(super) fn format_now(format: &str) -> Result<String, String> {
    format_time(format, NOW.get().unwrap_or_else(seconds))
}

fn format_time(format: &str, seconds: u64) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut code = rest.next();
        let plain = code == Some('-');
        if plain {
            code = rest.next();
        }
        let text = code.and_then(|code| field(code, plain, seconds)).ok_or_else(|| {
            let code = code.map_or_else(String::new, |c| c.to_string());
            format!("strftime_now: `%{code}` is not supported")
        })?;
        out.push_str(&text);
    }
    Ok(out)
}

/// What a code of `strftime` stands for; `plain` numbers are not padded.
fn field(code: char, plain: bool, seconds: u64) -> Option<String> {
    let days = seconds / 86_400;
    let ((year, month, day), weekday) = (date(days), DAYS[(days as usize + 4) % 7]);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let month_name = MONTHS[month as usize - 1];
    let number = |number: u64| if plain { number.to_string() } else { format!("{number:02}") };
    Some(match code {
        'Y' => year.to_string(),
        'y' => number(year % 100),
        'm' => number(month),
        'd' => number(day),
        'H' => number(hour),
        'I' => number((hour + 11) % 12 + 1),
        'M' => number(minute),
        'S' => number(second),
        'p' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        'B' => month_name.to_owned(),
        'b' | 'h' => month_name[..3].to_owned(),
        'A' => weekday.to_owned(),
        'a' => weekday[..3].to_owned(),
        'F' => format!("{year}-{month:02}-{day:02}"),
        'T' | 'X' => format!("{hour:02}:{minute:02}:{second:02}"),
        'e' => format!("{day:>2}"),
        'j' => number_of_day(days, year, plain),
        'C' => number(year / 100),
        'D' | 'x' => format!("{month:02}/{day:02}/{:02}", year % 100),
        'R' => format!("{hour:02}:{minute:02}"),
        'k' => format!("{hour:>2}"),
        'l' => format!("{:>2}", (hour + 11) % 12 + 1),
        'P' => if hour < 12 { "am" } else { "pm" }.to_owned(),
        'w' => ((days + 4) % 7).to_string(),
        'u' => ((days + 3) % 7 + 1).to_string(),
        'n' => "\n".to_owned(),
        't' => "\t".to_owned(),
        // Python's time of day has no zone here.
        'z' | 'Z' => String::new(),
        '%' => "%".to_owned(),
        _ => return None,
    })
}

/// The number of a day in its year.
fn number_of_day(days: u64, year: u64, plain: bool) -> String {
    let before = (0..366).take_while(|back| *back <= days && date(days - back).0 == year);
    let day = before.count();
    if plain { day.to_string() } else { format!("{day:03}") }
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar: within eras of 400
/// years, which begin in March so that a leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // From `date -u -d @SECONDS`.
        for (seconds, want) in [
            (0, "Thursday 01 January 1970 00:00:00"),
            (951_827_696, "Tuesday 29 February 2000 12:34:56"),
            (1_709_210_096, "Thursday 29 February 2024 12:34:56"),
            (4_107_542_399, "Sunday 28 February 2100 23:59:59"),
            (4_107_542_400, "Monday 01 March 2100 00:00:00"),
        ] {
            assert_eq!(format_time("%A %d %B %Y %H:%M:%S", seconds).unwrap(), want);
        }
        assert_eq!(format_time("%-d %b %y, %-I %p %%", 951_827_696).unwrap(), "29 Feb 00, 12 PM %");
        let all = "%e|%j|%C|%D|%x|%R|%X|%h|%k|%l|%P|%w|%u|%z|%Z";
        let want = " 1|001|19|01/01/70|01/01/70|00:00|00:00:00|Jan| 0|12|am|4|4||";
        assert_eq!(format_time(all, 0).unwrap(), want);
        let want = "29|060|20|02/29/00|02/29/00|12:34|12:34:56|Feb|12|12|pm|2|2||";
        assert_eq!(format_time(all, 951_827_696).unwrap(), want);
        assert!(format_time("%Q", 0).unwrap_err().contains("`%Q` is not supported"));
    }
}

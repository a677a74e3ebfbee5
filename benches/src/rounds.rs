//! Times of contenders that take turns.
//!
//! A machine that is shared, or whose clock changes, is at times half as fast for a second. Contenders
//! that are timed one after the other may each meet another machine, and their ratio says as much about
//! that as about them. In a round of a millisecond they meet the same.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a contender is on at least, at its turn.
const TURN: Duration = Duration::from_micros(100);

/// A contender: its name, and the call to be timed, which hides its answer from the optimiser.
pub type Contender<'f> = (&'static str, Box<dyn FnMut() + 'f>);

/// Nanoseconds a call, by contender, in each round.
pub type Rounds = BTreeMap<String, Vec<f64>>;

/// Lets the contenders take turns for so long, and for three rounds at least.
pub fn in_turn(contenders: &mut [Contender<'_>], time: Duration) -> Rounds {
    let calls: Vec<u32> = contenders.iter_mut().map(|contender| calls(&mut contender.1)).collect();
    let mut rounds = Rounds::new();
    let started = Instant::now();
    for round in 0_u32.. {
        if round >= 3 && started.elapsed() >= time {
            break;
        }
        for ((name, call), &calls) in contenders.iter_mut().zip(&calls) {
            // The one before may have thrown its row out of the cache.
            call();
            let nanoseconds = timed(call, calls).as_secs_f64() * 1e9 / f64::from(calls);
            rounds.entry((*name).to_string()).or_default().push(nanoseconds);
        }
    }
    rounds
}

/// How many calls fill a turn.
fn calls(call: &mut dyn FnMut()) -> u32 {
    call();
    let once = timed(call, 4) / 4;
    (TURN.as_nanos() / once.as_nanos().max(1)).clamp(1, 10_000) as u32
}

fn timed(call: &mut dyn FnMut(), calls: u32) -> Duration {
    let started = Instant::now();
    for _ in 0..calls {
        call();
    }
    started.elapsed()
}

/// The median over the rounds of `(of − less) / over`.
pub fn ratio(rounds: &Rounds, of: &str, less: Option<&str>, over: &str) -> Option<f64> {
    let zeros = || vec![0.0; rounds.get(of).map_or(0, Vec::len)];
    let less = less.map_or_else(|| Some(zeros()), |less| rounds.get(less).cloned())?;
    let all = rounds.get(of)?.iter().zip(rounds.get(over)?).zip(less);
    let mut ratios: Vec<f64> = all.map(|((of, over), less)| (of - less) / over).collect();
    ratios.sort_by(f64::total_cmp);
    let upper = *ratios.get(ratios.len() / 2)?;
    let lower = ratios[(ratios.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// Writes the rounds of a group on an input to the folder.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write(folder: &Path, group: &str, input: &str, rounds: &Rounds) -> io::Result<()> {
    let file = path(folder, group, input);
    std::fs::create_dir_all(folder)?;
    std::fs::write(file, serde_json::to_vec(rounds)?)
}

/// What [`write()`] wrote; `None` if it did not.
pub fn read(folder: &Path, group: &str, input: &str) -> Option<Rounds> {
    let text = std::fs::read(path(folder, group, input)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// `input` may name a size behind a slash.
fn path(folder: &Path, group: &str, input: &str) -> PathBuf {
    folder.join(format!("{group}_{}.json", input.replace('/', "_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second round is four times as slow, and the fastest of ours is not in the round of the fastest
    /// floor.
    #[test]
    fn a_ratio_is_taken_within_a_round_and_the_median_of_the_rounds() {
        let mut rounds = Rounds::new();
        for (name, times) in
            [("taper", [10.0, 40.0, 12.0]), ("bare", [5.0, 4.0, 8.0]), ("floor", [5.0, 10.0, 4.0])]
        {
            rounds.insert(name.to_string(), times.to_vec());
        }
        assert_eq!(ratio(&rounds, "taper", None, "floor"), Some(3.0));
        assert_eq!(ratio(&rounds, "taper", Some("bare"), "floor"), Some(1.0));
        assert_eq!(ratio(&rounds, "taper", None, "other"), None);
        assert_eq!(ratio(&rounds, "taper", Some("other"), "floor"), None);
        for list in rounds.values_mut() {
            list.remove(0);
        }
        assert_eq!(ratio(&rounds, "taper", None, "floor"), Some(3.5));
    }

    #[test]
    fn contenders_take_turns() {
        let order = std::cell::RefCell::new(Vec::new());
        let call = |who: u32| {
            let order = &order;
            Box::new(move || {
                std::thread::sleep(Duration::from_micros(60));
                order.borrow_mut().push(who);
            })
        };
        let rounds = in_turn(&mut [("a", call(1)), ("b", call(2))], Duration::ZERO);
        assert_eq!(rounds.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert!(rounds.values().all(|times| times.len() == 3 && times.iter().all(|&t| t >= 6e4)));
        let mut turns = order.into_inner();
        turns.dedup();
        assert_eq!(turns, [1, 2, 1, 2, 1, 2, 1, 2], "one to count calls, and three rounds");
    }

    #[test]
    fn what_is_written_is_read_to_the_last_bit() {
        // The first is read as a neighbour by a parser that only nearly rounds.
        let rounds = Rounds::from([(
            "a".to_string(),
            vec![3_999_540.999_999_999_5, 6_980_117.0, 1.0 / 3.0],
        )]);
        let folder = std::env::temp_dir().join(format!("taper-rounds-{}", std::process::id()));
        write(&folder, "group", "flat/128k", &rounds).expect("a folder to write to");
        assert_eq!(read(&folder, "group", "flat/128k"), Some(rounds));
        assert_eq!(read(&folder, "other", "flat/128k"), None);
        std::fs::remove_dir_all(&folder).expect("it was made");
    }
}

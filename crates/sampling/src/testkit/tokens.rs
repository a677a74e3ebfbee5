//! Properties of any sampler: of the token alone.

use alloc::vec;
use alloc::vec::Vec;

use super::{Finding, Flaw, Refusal, Rows, Subject, Violation};
use crate::sequence::DrawKey;

/// The token, if it is one of the row's.
fn token(sampler: &mut impl Subject, row: &[f32], key: DrawKey) -> Result<u32, Finding> {
    let token = sampler.token(row, key).map_err(|reason| Finding::refused(&reason))?;
    if (token as usize) < row.len() {
        Ok(token)
    } else {
        Err(Finding::Outside { token, len: row.len() })
    }
}

fn agree(first: u32, second: u32) -> Result<(), Finding> {
    if first == second { Ok(()) } else { Err(Finding::Differs { first, second }) }
}

/// The same row and key give the same token, whatever was drawn in between.
///
/// # Errors
///
/// [`Finding::Differs`], or a token outside the row, or a refusal.
pub fn replays(sampler: &mut impl Subject, rows: &Rows) -> Result<(), Violation> {
    let mut drawn = Vec::new();
    for (row, key) in rows.all() {
        let first = token(sampler, &row, key).map_err(|found| found.of("replays", &row))?;
        drawn.push((row, key, first));
    }
    for (row, key, first) in drawn.into_iter().rev() {
        let second = token(sampler, &row, key);
        let checked = second.and_then(|second| agree(first, second));
        checked.map_err(|found| found.of("replays", &row))?;
    }
    Ok(())
}

/// A row that has no token to give is refused: NaN or +∞ anywhere in it, nothing but −∞, nothing.
///
/// A panic is not a refusal, and is not caught.
///
/// # Errors
///
/// [`Finding::Accepted`].
pub fn refuses_bad_rows(sampler: &mut impl Subject) -> Result<(), Violation> {
    let mut rows = vec![
        (vec![f32::NAN], Flaw::Nan),
        (vec![f32::INFINITY; 2], Flaw::Infinite),
        (vec![f32::NEG_INFINITY; 3], Flaw::AllBanned),
        (vec![f32::NEG_INFINITY], Flaw::AllBanned),
        (Vec::new(), Flaw::Empty),
    ];
    // Below, beside and above the rest, and where vectors and blocks end.
    for (len, at) in [(3, 0), (3, 1), (3, 2), (1100, 0), (1100, 15), (1100, 1023), (1100, 1099)] {
        for (value, flaw) in
            [(f32::NAN, Flaw::Nan), (-f32::NAN, Flaw::Nan), (f32::INFINITY, Flaw::Infinite)]
        {
            let mut row: Vec<f32> = (0..len as u16).map(|id| f32::from(id % 7)).collect();
            row[at] = value;
            rows.push((row, flaw));
        }
    }
    for (row, flaw) in rows {
        if let Ok(token) = sampler.token(&row, DrawKey::new(0)) {
            return Err(Finding::Accepted { token, flaw }.of("refuses_bad_rows", &row));
        }
    }
    Ok(())
}

/// A token at −∞ is never drawn.
///
/// # Errors
///
/// [`Finding::Banned`], or a token outside the row, or a refusal.
pub fn never_draws_banned(sampler: &mut impl Subject, rows: &Rows) -> Result<(), Violation> {
    for (mut row, key) in rows.all() {
        for turn in 0..4 {
            let drawn = token(sampler, &row, key).and_then(|token| {
                let banned = row[token as usize] == f32::NEG_INFINITY;
                if banned { Err(Finding::Banned { token }) } else { Ok(token) }
            });
            let drawn = drawn.map_err(|found| found.of("never_draws_banned", &row))?;
            // The one that was just drawn is the likeliest to be drawn in spite of a ban.
            if turn < 3 && row.iter().filter(|&&x| x > f32::NEG_INFINITY).count() > 1 {
                row[drawn as usize] = f32::NEG_INFINITY;
            }
        }
    }
    Ok(())
}

/// Which of several equal best tokens a sampler without chance takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equals {
    /// The one of lowest id.
    LowestId,
    /// The one of highest id.
    HighestId,
    /// Any of them.
    Any,
}

fn is_best(row: &[f32], token: u32, equals: Equals) -> Result<(), Finding> {
    let max = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let best = match equals {
        Equals::LowestId => row.iter().position(|&x| x == max),
        Equals::HighestId => row.iter().rposition(|&x| x == max),
        Equals::Any if row[token as usize] == max => Some(token as usize),
        Equals::Any => row.iter().position(|&x| x == max),
    };
    let best = best.map_or(token, |id| id as u32);
    if token == best { Ok(()) } else { Err(Finding::NotBest { token, best }) }
}

/// The sampler takes the largest logit, whatever the key.
///
/// That is greedy itself, and top-k of 1 at any temperature under a tie policy that leaves one. The
/// order is of the logits: a temperature that rounds two of them to one score must not change it.
///
/// # Errors
///
/// [`Finding::NotBest`], or a token outside the row, or a refusal.
pub fn is_greedy(sampler: &mut impl Subject, equals: Equals, rows: &Rows) -> Result<(), Violation> {
    for (row, key) in rows.all() {
        for seed in 0..3 {
            let drawn = token(sampler, &row, DrawKey { seed, ..key });
            let checked = drawn.and_then(|token| is_best(&row, token, equals));
            checked.map_err(|found| found.of("is_greedy", &row))?;
        }
    }
    Ok(())
}

/// As the temperature goes to 0, the sampler becomes greedy, and it is greedy at 0 itself unless it
/// refuses that.
///
/// `make` builds the sampler for a temperature. Each row is tried at a 64th and less of the distance
/// between its best logits, where all the others together have a chance below 10⁻²⁴, and at 0. Any
/// of equal best tokens will do.
///
/// # Errors
///
/// [`Finding::NotBest`], or a token outside the row, or a refusal (but of 0).
pub fn cold_is_greedy<S: Subject>(
    mut make: impl FnMut(f64) -> Result<S, Refusal>,
    rows: &Rows,
) -> Result<(), Violation> {
    for (row, key) in rows.all() {
        for share in [1.0 / 64.0, 1.0 / 1024.0, 0.0] {
            let Some(temperature) = cold(&row, share) else { continue };
            let found = match make(temperature) {
                Ok(mut sampler) => {
                    let drawn = token(&mut sampler, &row, key);
                    drawn.and_then(|token| is_best(&row, token, Equals::Any))
                }
                Err(_) if temperature == 0.0 => Ok(()),
                Err(reason) => Err(Finding::refused(&reason)),
            };
            found.map_err(|found| found.of("cold_is_greedy", &row))?;
        }
    }
    Ok(())
}

/// That share of the distance between the best logit and the next, unless the row leaves single
/// precision when divided by it.
fn cold(row: &[f32], share: f64) -> Option<f64> {
    let max = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let below = row.iter().filter(|&&x| x < max).fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let gap = if below > f32::NEG_INFINITY { f64::from(max) - f64::from(below) } else { 1.0 };
    let temperature = gap * share;
    let largest = row.iter().filter(|x| x.is_finite()).fold(0.0, |a: f32, x| a.max(x.abs()));
    let fits = f64::from(largest) < f64::from(f32::MAX) * temperature
        && temperature > f64::from(f32::MIN_POSITIVE);
    (share == 0.0 || fits).then_some(temperature)
}

/// Two samplers choose the same tokens from the same rows and keys.
///
/// # Errors
///
/// [`Finding::Differs`], or a token outside the row, or a refusal of either.
pub fn same_tokens(
    one: &mut impl Subject,
    other: &mut impl Subject,
    rows: &Rows,
) -> Result<(), Violation> {
    for (row, key) in rows.all() {
        let both = token(one, &row, key).and_then(|a| Ok((a, token(other, &row, key)?)));
        let checked = both.and_then(|(first, second)| agree(first, second));
        checked.map_err(|found| found.of("same_tokens", &row))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::testkit::PipelineSampler;
    use crate::{ArgmaxTies, Greedy, Pipeline, Temperature};

    fn rows() -> Rows {
        Rows::new(11)
    }

    fn best(row: &[f32], _: DrawKey) -> Result<u32, Refusal> {
        let id = (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
        Ok(id.ok_or("empty")? as u32)
    }

    #[test]
    fn each_property_finds_its_breach() {
        let mut calls = 0_u32;
        let mut counter = |row: &[f32], _: DrawKey| -> Result<u32, Refusal> {
            calls += 1;
            Ok(calls % row.len() as u32)
        };
        let found = replays(&mut counter, &rows()).unwrap_err();
        assert!(matches!(found.finding, Finding::Differs { .. }), "{found}");

        let mut lax =
            |row: &[f32], _: DrawKey| -> Result<u32, Refusal> { Ok(row.len() as u32 / 2) };
        let found = refuses_bad_rows(&mut lax).unwrap_err();
        assert_eq!(
            found.to_string(),
            "refuses_bad_rows: token 0 was chosen from a row with NaN in it; the row: [NaN]"
        );
        let found = never_draws_banned(&mut lax, &rows()).unwrap_err();
        assert!(matches!(found.finding, Finding::Banned { .. }), "{found}");
        let found = is_greedy(&mut lax, Equals::Any, &rows()).unwrap_err();
        assert!(matches!(found.finding, Finding::NotBest { .. }), "{found}");
        let found = same_tokens(&mut lax, &mut best, &rows()).unwrap_err();
        assert!(matches!(found.finding, Finding::Differs { .. }), "{found}");

        let mut beyond = |row: &[f32], _: DrawKey| -> Result<u32, Refusal> { Ok(row.len() as u32) };
        let found = replays(&mut beyond, &rows()).unwrap_err();
        assert!(matches!(found.finding, Finding::Outside { .. }), "{found}");
        let mut never = |_: &[f32], _: DrawKey| -> Result<u32, Refusal> { Err("no".into()) };
        let found = replays(&mut never, &rows()).unwrap_err();
        assert_eq!(found.finding, Finding::Refused { reason: "no".into() });
        assert!(refuses_bad_rows(&mut never).is_ok());
    }

    #[test]
    fn greedy_is_told_from_its_neighbours() {
        let greedy = |ties| PipelineSampler::new(Pipeline::selecting(Greedy { ties }));
        let (mut lowest, mut highest) =
            (greedy(ArgmaxTies::LowestId), greedy(ArgmaxTies::HighestId));
        for (sampler, right, wrong) in [
            (&mut lowest, Equals::LowestId, Equals::HighestId),
            (&mut highest, Equals::HighestId, Equals::LowestId),
        ] {
            assert_eq!(is_greedy(sampler, right, &rows()), Ok(()));
            assert_eq!(is_greedy(sampler, Equals::Any, &rows()), Ok(()));
            assert!(is_greedy(sampler, wrong, &rows()).is_err());
        }
    }

    #[test]
    fn a_temperature_of_zero_must_be_greedy_or_refused() {
        let drawn = |t| -> Result<_, Refusal> {
            Ok(PipelineSampler::new(Pipeline::draw().then(Temperature::new(t)?)))
        };
        assert_eq!(cold_is_greedy(drawn, &rows()), Ok(()), "0 is refused");
        let ignored = |t| drawn(if t == 0.0 { 1.0 } else { t });
        let found = cold_is_greedy(ignored, &rows()).unwrap_err();
        assert!(matches!(found.finding, Finding::NotBest { .. }), "{found}");
    }
}

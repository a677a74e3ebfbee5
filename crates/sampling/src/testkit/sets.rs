//! Properties of a sampler that shows its kept set.

use alloc::vec;
use alloc::vec::Vec;

use super::rows::Numbers;
use super::{Finding, Refusal, Rows, Subject, Violation};
use crate::sequence::DrawKey;

type Set = Vec<(u32, f32)>;

/// The kept set, ids ascending, once it is known to be one.
fn kept(sampler: &mut impl Subject, row: &[f32], key: DrawKey) -> Result<Set, Finding> {
    let mut set = sampler.kept(row, key).map_err(|reason| Finding::refused(&reason))?;
    set.sort_unstable_by_key(|entry| entry.0);
    let (Some(_), Some(&(last, _))) = (set.first(), set.last()) else { return Err(Finding::Empty) };
    if last as usize >= row.len() {
        return Err(Finding::Outside { token: last, len: row.len() });
    }
    match set.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => {
            let times = set.iter().filter(|entry| entry.0 == pair[0].0).count();
            Err(Finding::Listed { token: pair[0].0, times })
        }
        None => Ok(set),
    }
}

/// The row's own tokens, banned ones left out.
fn unbanned(row: &[f32]) -> Set {
    let all = (0..).zip(row.iter().copied());
    all.filter(|&(_, score)| score > f32::NEG_INFINITY).collect()
}

/// The row in which everybody else is banned.
fn row_of(set: &Set, len: usize) -> Vec<f32> {
    let mut row = vec![f32::NEG_INFINITY; len];
    for &(id, score) in set {
        row[id as usize] = score;
    }
    row
}

/// Every token of one set is in the other, with the same score if that is asked.
fn within(small: &Set, large: &Set, scores: bool) -> Result<(), Finding> {
    for &(token, score) in small {
        let Ok(at) = large.binary_search_by_key(&token, |entry| entry.0) else {
            return Err(Finding::Missing { token });
        };
        let due = large[at].1;
        // `==` so that −0.0 equals +0.0; a NaN equals nothing and is found.
        if scores && !(score == due) {
            return Err(Finding::Score { token, score, due });
        }
    }
    Ok(())
}

fn equal(one: &Set, other: &Set) -> Result<(), Finding> {
    within(one, other, true)?;
    within(other, one, true)
}

/// Some token is always kept, no banned one is, and the token drawn is one of the kept.
///
/// # Errors
///
/// [`Finding::Empty`], [`Finding::Banned`], [`Finding::Listed`], or a refusal.
pub fn draws_from_kept(sampler: &mut impl Subject, rows: &Rows) -> Result<(), Violation> {
    let mut check = |row: &[f32], key| {
        let set = kept(sampler, row, key)?;
        if let Some(&(token, score)) = set.iter().find(|entry| !entry.1.is_finite()) {
            return Err(if score == f32::NEG_INFINITY {
                Finding::Banned { token }
            } else {
                Finding::Score { token, score, due: row[token as usize] }
            });
        }
        let token = sampler.token(row, key).map_err(|reason| Finding::refused(&reason))?;
        let listed = set.iter().any(|entry| entry.0 == token);
        if listed { Ok(()) } else { Err(Finding::Listed { token, times: 0 }) }
    };
    rows.all().try_for_each(|(row, key)| {
        check(&row, key).map_err(|found| found.of("draws_from_kept", &row))
    })
}

/// A cut leaves some of the row's unbanned tokens, their scores untouched.
///
/// # Errors
///
/// [`Finding::Missing`] for a token from nowhere, [`Finding::Score`], [`Finding::Empty`], or a refusal.
pub fn only_cuts(sampler: &mut impl Subject, rows: &Rows) -> Result<(), Violation> {
    rows.all().try_for_each(|(row, key)| {
        let set = kept(sampler, &row, key);
        set.and_then(|set| within(&set, &unbanned(&row), true))
            .map_err(|found| found.of("only_cuts", &row))
    })
}

/// The sampler leaves every row as it is: k = V, p = 1, T = 1.
///
/// # Errors
///
/// [`Finding::Missing`], [`Finding::Score`], or a refusal.
pub fn is_identity(sampler: &mut impl Subject, rows: &Rows) -> Result<(), Violation> {
    rows.all().try_for_each(|(row, key)| {
        let set = kept(sampler, &row, key);
        set.and_then(|set| equal(&set, &unbanned(&row)))
            .map_err(|found| found.of("is_identity", &row))
    })
}

/// What is kept at one value of a knob is kept at the next. `make` builds the sampler for a value;
/// `knobs` go from strict to lax.
///
/// # Errors
///
/// [`Finding::Missing`], or a refusal, of the knob too.
pub fn loosens<S: Subject>(
    mut make: impl FnMut(f64) -> Result<S, Refusal>,
    knobs: &[f64],
    rows: &Rows,
) -> Result<(), Violation> {
    let mut check = |row: &[f32], key| -> Result<(), Finding> {
        let mut stricter = Vec::new();
        for &knob in knobs {
            let mut sampler = make(knob).map_err(|reason| Finding::refused(&reason))?;
            let set = kept(&mut sampler, row, key)?;
            within(&stricter, &set, false)?;
            stricter = set;
        }
        Ok(())
    };
    rows.all()
        .try_for_each(|(row, key)| check(&row, key).map_err(|found| found.of("loosens", &row)))
}

/// What is left of a row is left again when everything else is banned.
///
/// Holds of top-k, min-p and epsilon. Not of top-p, which takes its share of what it is given.
///
/// # Errors
///
/// [`Finding::Missing`], [`Finding::Score`], or a refusal.
pub fn is_idempotent(sampler: &mut impl Subject, rows: &Rows) -> Result<(), Violation> {
    let mut check = |row: &[f32], key| {
        let once = kept(sampler, row, key)?;
        let twice = kept(sampler, &row_of(&once, row.len()), key)?;
        equal(&once, &twice)
    };
    rows.all().try_for_each(|(row, key)| {
        check(&row, key).map_err(|found| found.of("is_idempotent", &row))
    })
}

/// Of two cuts in a row, the second sees only what the first left: `both` is the second alone on
/// what `first` keeps. An engine that forgets to renormalise in between does not pass.
///
/// # Errors
///
/// [`Finding::Missing`], [`Finding::Score`], or a refusal of any of them.
pub fn composes(
    both: &mut impl Subject,
    first: &mut impl Subject,
    second: &mut impl Subject,
    rows: &Rows,
) -> Result<(), Violation> {
    let mut check = |row: &[f32], key| {
        let left = kept(first, row, key)?;
        let apart = kept(second, &row_of(&left, row.len()), key)?;
        equal(&kept(both, row, key)?, &apart)
    };
    rows.all()
        .try_for_each(|(row, key)| check(&row, key).map_err(|found| found.of("composes", &row)))
}

/// A constant added to every logit changes neither the token nor the kept set. The rows and the
/// constants add without rounding; so should what the sampler does: let temperatures be powers of two.
///
/// Does not hold of what multiplies scores, such as a repetition penalty.
///
/// # Errors
///
/// [`Finding::Missing`], [`Finding::Differs`], or a refusal.
pub fn is_shift_invariant(sampler: &mut impl Subject, rows: &Rows) -> Result<(), Violation> {
    let mut check = |row: &[f32], key| {
        let before = kept(sampler, row, key)?;
        let first = sampler.token(row, key).map_err(|reason| Finding::refused(&reason))?;
        for shift in [-100.0, -0.25, 8.5, 1000.0] {
            let shifted: Vec<f32> = row.iter().map(|score| score + shift).collect();
            let after = kept(sampler, &shifted, key)?;
            within(&before, &after, false)?;
            within(&after, &before, false)?;
            let second = sampler.token(&shifted, key);
            let second = second.map_err(|reason| Finding::refused(&reason))?;
            if first != second {
                return Err(Finding::Differs { first, second });
            }
        }
        Ok(())
    };
    rows.dyadic().try_for_each(|(row, key)| {
        check(&row, key).map_err(|found| found.of("is_shift_invariant", &row))
    })
}

/// Under other token ids the same scores are kept. Which of equal tokens they belong to is the tie
/// policy's, and not asked.
///
/// # Errors
///
/// [`Finding::Missing`] with the token as the row numbers it, or a refusal.
pub fn is_permutation_equivariant(
    sampler: &mut impl Subject,
    rows: &Rows,
) -> Result<(), Violation> {
    // Adding +0.0 turns −0.0 into +0.0.
    let by_score = |set: &Set| {
        let mut sorted: Vec<(f32, u32)> = set.iter().map(|&(id, s)| (s + 0.0, id)).collect();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        sorted
    };
    let mut check = |row: &[f32], key| {
        let before = by_score(&kept(sampler, row, key)?);
        let renamed = shuffled(row.len(), key);
        let moved: Vec<f32> = renamed.iter().map(|&id| row[id]).collect();
        let mut after = by_score(&kept(sampler, &moved, key)?);
        for entry in &mut after {
            entry.1 = renamed[entry.1 as usize] as u32;
        }
        let differs = before.iter().zip(&after).find(|(a, b)| a.0 != b.0);
        let surplus = before.get(after.len()).or(after.get(before.len()));
        match differs.map(|(a, b)| if a.0 > b.0 { a } else { b }).or(surplus) {
            Some(&(_, token)) => Err(Finding::Missing { token }),
            None => Ok(()),
        }
    };
    rows.all().try_for_each(|(row, key)| {
        check(&row, key).map_err(|found| found.of("is_permutation_equivariant", &row))
    })
}

/// The numbers below `len` in another order.
fn shuffled(len: usize, key: DrawKey) -> Vec<usize> {
    let mut numbers = Numbers::of(DrawKey { seed: !key.seed, ..key });
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        order.swap(last, numbers.below(last + 1));
    }
    order
}

/// These tokens, which the sampler is set to penalise, end no higher than they began.
///
/// # Errors
///
/// [`Finding::Score`], or a refusal.
pub fn never_raises(
    sampler: &mut impl Subject,
    penalised: &[u32],
    rows: &Rows,
) -> Result<(), Violation> {
    let mut check = |row: &[f32], key| {
        let set = kept(sampler, row, key)?;
        let raised = set.iter().find(|(id, score)| {
            // A score that is no number has not been lowered either.
            penalised.contains(id) && !(*score <= row[*id as usize])
        });
        match raised {
            Some(&(token, score)) => Err(Finding::Score { token, score, due: row[token as usize] }),
            None => Ok(()),
        }
    };
    rows.all()
        .try_for_each(|(row, key)| check(&row, key).map_err(|found| found.of("never_raises", &row)))
}

/// Two samplers keep the same tokens with the same scores, to the last bit (but for the sign of a
/// zero). Where both refuse a row, they need not use the same words; they cannot refuse them all.
///
/// # Errors
///
/// [`Finding::Missing`], [`Finding::Score`], [`Finding::Untested`], or a refusal of one of them.
pub fn same_sets(
    one: &mut impl Subject,
    other: &mut impl Subject,
    rows: &Rows,
) -> Result<(), Violation> {
    let (mut compared, mut refused) = (false, None);
    for (row, key) in rows.all() {
        let found = match (kept(one, &row, key), kept(other, &row, key)) {
            (Ok(a), Ok(b)) => {
                compared = true;
                equal(&a, &b)
            }
            (Err(Finding::Refused { reason }), Err(Finding::Refused { .. })) => {
                refused = Some(Finding::Untested { reason }.of("same_sets", &row));
                Ok(())
            }
            (Err(found), _) | (_, Err(found)) => Err(found),
        };
        found.map_err(|found| found.of("same_sets", &row))?;
    }
    refused.filter(|_| !compared).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;

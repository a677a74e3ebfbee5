//! The rules that draw, against exact probabilities.

use alloc::vec;
use alloc::vec::Vec;

use super::*;

#[test]
fn the_first_drawn_beam_has_the_distribution_of_the_row() {
    let table = vec![vec![2.0, 1.0, 0.0, -1.0, -2.0]; 5];
    let mut counts = [0_u32; 5];
    let draws = 20_000;
    for seed in 0..draws {
        let settings = BeamSettings {
            key: DrawKey::new(seed),
            eos_token_ids: Vec::new(),
            ..settings(1, 1, &table, SAMPLED)
        };
        let token = search(&table, &Pipeline::draw(), &settings)[0].tokens[0];
        counts[token as usize] += 1;
    }
    assert_fits(&counts, &exact(&table[0]), draws as f64);
}

#[test]
fn stochastic_beams_are_a_sample_without_replacement() {
    let table = random_table(3, 3);
    let all = all_sequences(&table, 3);
    let (mut first, mut total, mut squares) = (vec![0_u32; all.len()], 0.0, 0.0);
    let draws = 6000;
    for seed in 0..draws {
        let settings = BeamSettings {
            key: DrawKey::new(seed),
            num_return_sequences: 3,
            ..settings(3, 3, &table, SearchRule::Stochastic)
        };
        let found = search(&table, &Pipeline::draw(), &settings);
        assert_eq!(found.len(), 3);
        let place = |tokens: &[u32]| all.iter().position(|(t, _)| t == tokens).expect("known");
        let mut places: Vec<usize> = found.iter().map(|f| place(&f.tokens)).collect();
        first[places[0]] += 1;
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 3, "no sequence comes twice");
        // Horvitz and Thompson's estimate of the total probability, which is 1.
        let share = |f: &Found| {
            f64::from(f.sum).exp() / f.inclusion_probability.expect("a stochastic search")
        };
        let estimate: f64 = found.iter().map(share).sum();
        total += estimate;
        squares += estimate * estimate;
    }
    let probabilities: Vec<f64> = all.iter().map(|(_, p)| p.exp()).collect();
    assert_fits(&first, &probabilities, draws as f64);
    let mean = total / draws as f64;
    let error = ((squares / draws as f64 - mean * mean) / draws as f64).sqrt();
    assert!((mean - 1.0).abs() < 5.0 * error, "{mean} ± {error}");
}

#[test]
fn stochastic_beams_of_every_sequence_include_all_of_them_for_certain() {
    let table = random_table(5, 3);
    let all = all_sequences(&table, 3);
    let settings = BeamSettings {
        num_return_sequences: all.len(),
        ..settings(all.len(), 3, &table, SearchRule::Stochastic)
    };
    let found = search(&table, &Pipeline::draw(), &settings);
    assert_eq!(found.len(), all.len());
    assert!(found.iter().all(|f| f.inclusion_probability == Some(1.0)));
}

fn exact(row: &[f32]) -> Vec<f64> {
    let mass: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
    row.iter().map(|&x| f64::from(x).exp() / mass).collect()
}

/// Pearson's statistic against a bound that a right sampler passes but once in a million: the mean
/// and seven deviations, for the skew of few degrees of freedom.
fn assert_fits(counts: &[u32], probabilities: &[f64], draws: f64) {
    let cell = |(&count, &p): (&u32, &f64)| (f64::from(count) - draws * p).powi(2) / (draws * p);
    let statistic: f64 = counts.iter().zip(probabilities).map(cell).sum();
    let freedom = counts.len() as f64 - 1.0;
    assert!(statistic < freedom + 7.0 * (2.0 * freedom).sqrt(), "{statistic}: {counts:?}");
}

/// A change here changes the tokens of every seed, and is called value-breaking in the changelog.
#[test]
fn a_seeds_beams_are_stable() {
    let table = random_table(8, 6);
    let beams = |rule| {
        let key = DrawKey::new(42).stream(1);
        let settings =
            BeamSettings { key, num_return_sequences: 2, ..settings(3, 4, &table, rule) };
        let found = search(&table, &Pipeline::draw(), &settings);
        found.into_iter().map(|found| found.tokens).collect::<Vec<_>>()
    };
    assert_eq!(beams(SAMPLED), [[2, 1, 4, 0], [2, 1, 0, 2]]);
    assert_eq!(beams(SearchRule::Stochastic), [[2, 1, 4, 0], [3, 4, 4, 0]]);
}

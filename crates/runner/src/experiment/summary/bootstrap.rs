//! How far a mean is to be trusted.

use serde::{Deserialize, Serialize};
use taper_sampling::{DrawKey, Draws, Purpose};

use super::facts::{METRICS, mean};

/// Fewer runs than this say nothing about how far they spread.
const FEWEST: usize = 8;
const RESAMPLES: usize = 1000;
const RESAMPLING: Purpose = Purpose::Custom(0x626f_6f74);

/// A mean over runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The 95 % interval of the percentile bootstrap, from 1000 resamples of the runs, each prompt's
    /// among themselves; `None` with fewer than 8 runs. The resamples have keys of their own, so that
    /// the same records give the same interval.
    pub interval: Option<(f64, f64)>,
}

/// The values of one run.
pub(super) type Values = [Option<f64>; METRICS.len()];

/// The estimate of each metric from the runs, which come in groups that are resampled apart.
pub(super) fn estimates(
    groups: &[Vec<&Values>],
    key: DrawKey,
) -> [Option<Estimate>; METRICS.len()] {
    let runs: usize = groups.iter().map(Vec::len).sum();
    let means = |metric: usize| mean(groups.iter().flatten().filter_map(|values| values[metric]));
    let mut resampled: [Vec<f64>; METRICS.len()] = Default::default();
    if runs >= FEWEST {
        let mut series = Draws::new(key).series(RESAMPLING);
        let mut drawn = 0;
        let mut pick = |among: usize| {
            let bits = series.bits(drawn);
            drawn += 1;
            ((u128::from(bits) * among as u128) >> 64) as usize
        };
        for _ in 0..RESAMPLES {
            let mut sums = [(0.0, 0_usize); METRICS.len()];
            for group in groups {
                for _ in 0..group.len() {
                    add(&mut sums, group[pick(group.len())]);
                }
            }
            for (all, (sum, count)) in resampled.iter_mut().zip(sums) {
                all.extend((count > 0).then(|| sum / count as f64));
            }
        }
    }
    std::array::from_fn(|metric| {
        let mean = means(metric)?;
        Some(Estimate { mean, interval: interval(&mut resampled[metric]) })
    })
}

fn add(sums: &mut [(f64, usize); METRICS.len()], values: &Values) {
    for ((sum, count), value) in sums.iter_mut().zip(values) {
        *sum += value.unwrap_or(0.0);
        *count += usize::from(value.is_some());
    }
}

/// The middle 95 %.
fn interval(means: &mut [f64]) -> Option<(f64, f64)> {
    means.sort_unstable_by(f64::total_cmp);
    let cut = means.len() / 40;
    let (low, high) = (means.get(cut)?, means.get(means.len().checked_sub(cut + 1)?)?);
    Some((*low, *high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(x: f64) -> Values {
        [Some(x); METRICS.len()]
    }

    #[test]
    fn an_interval_is_as_wide_as_theory_says() {
        // 0 to 99: the standard error of the mean is 28.87 / 10.
        let runs: Vec<Values> = (0..100).map(|x| values(f64::from(x))).collect();
        let group = vec![runs.iter().collect()];
        let [Some(first), ..] = estimates(&group, DrawKey::new(1)) else { panic!("no estimate") };
        assert_eq!(first.mean, 49.5);
        let (low, high) = first.interval.unwrap();
        assert!((low - (49.5 - 1.96 * 2.887)).abs() < 1.0, "{low}");
        assert!((high - (49.5 + 1.96 * 2.887)).abs() < 1.0, "{high}");
        assert_eq!(estimates(&group, DrawKey::new(1))[0], Some(first));
        assert_ne!(estimates(&group, DrawKey::new(2))[0], Some(first));
    }

    #[test]
    fn prompts_that_differ_do_not_widen_it() {
        let (low, high) = (values(1.0), values(9.0));
        let apart = [vec![&low; 4], vec![&high; 4]];
        assert_eq!(estimates(&apart, DrawKey::new(1))[0].unwrap().interval, Some((5.0, 5.0)));
        let few = [vec![&low; 7]];
        assert_eq!(estimates(&few, DrawKey::new(1))[0].unwrap().interval, None);
        assert_eq!(estimates(&[vec![]], DrawKey::new(1))[0], None);
    }
}

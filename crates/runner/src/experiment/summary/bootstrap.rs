//! How far a mean is to be trusted.

use serde::{Deserialize, Serialize};
use taper_sampling::{DrawKey, Draws, Purpose};

use super::cell::Moments;
use super::facts::{METRICS, Values, mean};

/// Fewer runs than this say nothing about how far they spread.
const FEWEST: usize = 8;
const RESAMPLES: usize = 1000;
/// The normal distribution has 95 % of its mass within so many standard deviations.
const TWO_SIDED: f64 = 1.959_963_984_540_054;
const RESAMPLING: Purpose = Purpose::Custom(0x626f_6f74);

/// A mean over runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The 95 % interval of the percentile bootstrap, from 1000 resamples of the runs, each prompt's
    /// among themselves; `None` with fewer than 8 runs. The resamples have keys of their own, so that
    /// the same records give the same interval. Of more runs than are held (see [`Row::sampled`](super::Row::sampled))
    /// that of the normal distribution, which the bootstrap comes to.
    pub interval: Option<(f64, f64)>,
}

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

/// The estimate of a metric from the moments of groups that are too many to be resampled.
pub(super) fn of_moments(groups: &(impl Iterator<Item = Moments> + Clone)) -> Option<Estimate> {
    let runs: usize = groups.clone().map(|group| group.count).sum();
    let all = runs as f64;
    let sum = |of: fn(Moments) -> f64| groups.clone().map(|g| g.count as f64 * of(g)).sum::<f64>();
    let mean = (runs > 0).then(|| sum(|group| group.mean) / all)?;
    let error = sum(Moments::variance).sqrt() / all;
    let interval = (runs >= FEWEST).then_some((mean - TWO_SIDED * error, mean + TWO_SIDED * error));
    Some(Estimate { mean, interval })
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
    fn moments_come_to_the_same_interval() {
        let runs: Vec<Vec<Values>> = [0, 1000]
            .map(|from| (0..2000).map(|x| values(f64::from(from + x % 100))).collect())
            .to_vec();
        let groups: Vec<Vec<&Values>> = runs.iter().map(|group| group.iter().collect()).collect();
        let [Some(resampled), ..] = estimates(&groups, DrawKey::new(1)) else { panic!("none") };
        let moments = runs.iter().map(|group| {
            let mut moments = Moments::default();
            for values in group {
                moments.add(values[0].unwrap());
            }
            moments
        });
        let of_moments = of_moments(&moments).unwrap();
        assert!((resampled.mean - of_moments.mean).abs() < 1e-9);
        let ((low, high), (least, most)) =
            (resampled.interval.unwrap(), of_moments.interval.unwrap());
        let wide = most - least;
        assert!((low - least).abs() < 0.1 * wide && (high - most).abs() < 0.1 * wide);
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

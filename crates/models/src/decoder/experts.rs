//! A mixture of experts with its weights.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::ops;

use super::kernels::Kernels;
use super::parts::{Linear, Mlp};
use crate::load::LoadError;
use crate::spec::{ExpertsSpec, RouterSpec, Scoring};
use crate::weights::Weights;

#[derive(Debug)]
pub(super) struct Experts {
    router: RouterSpec,
    gate: Linear,
    /// One number per expert, on the host, where experts are chosen.
    correction: Option<Vec<f32>>,
    all: Vec<Mlp>,
    shared: Option<Mlp>,
}

impl Experts {
    pub(super) fn new(
        spec: &ExpertsSpec,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, LoadError> {
        let experts = spec.experts.iter().map(|expert| Mlp::new(expert, weights));
        let correction = spec.router.correction.as_ref().map(|name| {
            weights.get_f32(name, &[spec.experts.len()])?.to_vec1().map_err(LoadError::from)
        });
        Ok(Self {
            gate: Linear::in_f32(&spec.router.gate, weights)?,
            correction: correction.transpose()?,
            all: experts.collect::<std::result::Result<_, _>>()?,
            shared: spec.shared.as_ref().map(|expert| Mlp::new(expert, weights)).transpose()?,
            router: spec.router.clone(),
        })
    }

    /// `[n, hidden_size]` to the same. Only the experts that are chosen are computed, each for its
    /// tokens at once.
    pub(super) fn forward(&self, x: &Tensor, kernels: Kernels) -> Result<Tensor> {
        let numbers = self.gate.forward(&x.to_dtype(DType::F32)?, kernels)?;
        let scores = match self.router.scoring {
            Scoring::Sigmoid => ops::sigmoid(&numbers),
            Scoring::Softmax => kernels.softmax(&numbers),
        }?;
        let chosen = self.choose(&scores.detach().to_vec2()?);
        let weights = self.weigh(&scores, &chosen)?.flatten_all()?;
        let mut sum = match &self.shared {
            Some(shared) => shared.forward(x, kernels)?.to_dtype(DType::F32)?,
            None => x.zeros_like()?.to_dtype(DType::F32)?,
        };
        for (index, expert) in self.all.iter().enumerate() {
            let places = (0u32..).zip(&chosen).filter(|(_, of)| **of as usize == index);
            let places: Vec<u32> = places.map(|(place, _)| place).collect();
            if places.is_empty() {
                continue;
            }
            let tokens: Vec<u32> =
                places.iter().map(|place| place / self.router.chosen as u32).collect();
            let [places, tokens] = [places, tokens].map(|ids| Tensor::new(ids, x.device()));
            let (places, tokens) = (places?, tokens?);
            let answers = expert.forward(&x.index_select(&tokens, 0)?, kernels)?;
            let weights = weights.index_select(&places, 0)?.unsqueeze(1)?;
            let weighted = answers.to_dtype(DType::F32)?.broadcast_mul(&weights)?;
            sum = sum.index_add(&tokens, &weighted, 0)?;
        }
        sum.to_dtype(x.dtype())
    }

    /// The experts of each token, [`RouterSpec::chosen`] each.
    fn choose(&self, scores: &[Vec<f32>]) -> Vec<u32> {
        let mut chosen = Vec::with_capacity(scores.len() * self.router.chosen);
        for scores in scores {
            let mut scores = scores.clone();
            for (score, correction) in scores.iter_mut().zip(self.correction.iter().flatten()) {
                *score += correction;
            }
            chosen.extend(best_experts(&scores, &self.router));
        }
        chosen
    }

    /// The weights `[n, chosen]` of what was chosen, from all scores `[n, experts]`.
    fn weigh(&self, scores: &Tensor, chosen: &[u32]) -> Result<Tensor> {
        let shape = (scores.dim(0)?, self.router.chosen);
        let chosen = Tensor::from_slice(chosen, shape, scores.device())?;
        let weights = scores.contiguous()?.gather(&chosen, 1)?;
        let weights = if self.router.normalise {
            // The small number is transformers', against a sum of sigmoids that are all 0.
            weights.broadcast_div(&(weights.sum_keepdim(D::Minus1)? + 1e-20)?)?
        } else {
            weights
        };
        weights * self.router.scale
    }
}

/// The best experts of the best groups; where scores are equal, the first.
fn best_experts(scores: &[f32], router: &RouterSpec) -> Vec<u32> {
    let size = scores.len() / router.groups;
    let group_score = |group: usize| {
        let members = &scores[group * size..][..size];
        best(members, 2.min(size), |_| true).map(|member| members[member as usize]).sum::<f32>()
    };
    let group_scores: Vec<f32> = (0..router.groups).map(group_score).collect();
    let groups: Vec<u32> = best(&group_scores, router.chosen_groups, |_| true).collect();
    best(scores, router.chosen, |expert| groups.contains(&((expert / size) as u32))).collect()
}

/// The indices of the `count` largest of `scores` that may be taken, the largest first.
fn best(scores: &[f32], count: usize, may: impl Fn(usize) -> bool) -> impl Iterator<Item = u32> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|index| may(*index)).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order.into_iter().take(count).map(|index| index as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::LinearSpec;

    fn router(chosen: usize, groups: usize, chosen_groups: usize) -> RouterSpec {
        RouterSpec {
            gate: LinearSpec::new("gate", 1, 6, false),
            scoring: Scoring::Sigmoid,
            correction: None,
            chosen,
            groups,
            chosen_groups,
            normalise: true,
            scale: 1.0,
        }
    }

    #[test]
    fn the_best_are_chosen_and_the_first_of_equals() {
        assert_eq!(best_experts(&[0.1, 0.5, 0.3, 0.5, 0.2, 0.5], &router(2, 1, 1)), [1, 3]);
    }

    #[test]
    fn groups_are_chosen_by_their_two_best() {
        // The groups sum to 0.8, 1.1 and 0.9, so the best expert of all is out of reach.
        let scores = [0.8, 0.0, 0.5, 0.6, 0.4, 0.5];
        assert_eq!(best_experts(&scores, &router(3, 3, 2)), [3, 2, 5]);
    }
}

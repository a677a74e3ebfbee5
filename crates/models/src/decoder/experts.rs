//! A mixture of experts with its weights.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::ops;

use super::kernels::Kernels;
use super::parts::{Linear, Mlp};
use crate::spec::{ExpertsSpec, RouterSpec, Scoring};
use crate::weights::{Weights, WeightsError};

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
    ) -> std::result::Result<Self, WeightsError> {
        let experts = spec.experts.iter().map(|expert| Mlp::new(expert, weights));
        let correction = spec.router.correction.as_ref().map(|name| {
            weights.get_f32(name, &[spec.experts.len()])?.to_vec1().map_err(WeightsError::from)
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
            chosen.extend(self.router.best(&scores));
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

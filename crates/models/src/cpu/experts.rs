//! A mixture of experts with its weights.

use super::engine::Engine;
use super::math::{AddScaled, Map, Sigmoid, softmax};
use super::matrix::to_f32;
use super::parts::{Linear, Mlp};
use super::rows::Rows;
use super::simd::flat;
use crate::spec::{ExpertsSpec, RouterSpec, Scoring};
use crate::weights::{Source, WeightsError};

#[derive(Debug)]
pub(super) struct Experts {
    router: RouterSpec,
    gate: Linear,
    /// One number per expert.
    correction: Option<Vec<f32>>,
    all: Vec<Mlp>,
    shared: Option<Mlp>,
}

impl Experts {
    pub(super) fn new(spec: &ExpertsSpec, weights: &Source<'_>) -> Result<Self, WeightsError> {
        let correction = spec
            .router
            .correction
            .as_ref()
            .map(|name| weights.get(name, &[spec.experts.len()]).map(|stored| to_f32(&stored)));
        let experts = spec.experts.iter().map(|expert| Mlp::new(expert, weights));
        Ok(Self {
            gate: Linear::exact(&spec.router.gate, weights)?,
            correction: correction.transpose()?,
            all: experts.collect::<Result<_, _>>()?,
            shared: spec.shared.as_ref().map(|expert| Mlp::new(expert, weights)).transpose()?,
            router: spec.router.clone(),
        })
    }

    /// Only the experts that are chosen are computed, each for its tokens at once. What a token's
    /// experts answer is added in the order of the experts.
    pub(super) fn forward(&self, engine: &Engine, x: &Rows) -> Rows {
        let chosen = self.choose(engine, x);
        let mut sum = match &self.shared {
            Some(shared) => shared.forward(engine, x),
            None => Rows::zeros(x.count(), x.width()),
        };
        for (index, expert) in self.all.iter().enumerate() {
            let weight =
                |of: &Vec<(u32, f32)>| of.iter().find(|of| of.0 as usize == index).copied();
            let of = chosen.iter().enumerate();
            let of = of.filter_map(|(token, of)| Some((token, weight(of)?.1)));
            let (tokens, weights): (Vec<usize>, Vec<f32>) = of.unzip();
            if tokens.is_empty() {
                continue;
            }
            let answers = expert.forward(engine, &x.pick(&tokens));
            for (place, (token, factor)) in tokens.into_iter().zip(weights).enumerate() {
                let x = answers.row(place);
                engine.run(AddScaled { to: sum.row_mut(token), x, factor });
            }
        }
        sum
    }

    /// The experts of each token with their weights.
    fn choose(&self, engine: &Engine, x: &Rows) -> Vec<Vec<(u32, f32)>> {
        let mut scores = self.gate.forward(engine, x);
        let width = scores.width();
        scores.each_mut().for_each(|row| match self.router.scoring {
            Scoring::Sigmoid => engine.run(Map { x: row, function: Sigmoid }),
            Scoring::Softmax => softmax(engine.unit(), row, width),
        });
        (0..scores.count()).map(|token| self.weigh(&flat(scores.row(token))[..width])).collect()
    }

    fn weigh(&self, scores: &[f32]) -> Vec<(u32, f32)> {
        let mut corrected = scores.to_vec();
        for (score, correction) in corrected.iter_mut().zip(self.correction.iter().flatten()) {
            *score += correction;
        }
        let chosen = self.router.best(&corrected);
        let weights: Vec<f32> = chosen.iter().map(|expert| scores[*expert as usize]).collect();
        // The small number is transformers', against a sum of sigmoids that are all 0.
        let sum = if self.router.normalise { weights.iter().sum::<f32>() + 1e-20 } else { 1.0 };
        let scale = self.router.scale as f32;
        chosen.into_iter().zip(weights.into_iter().map(|weight| weight / sum * scale)).collect()
    }

    /// Multiplications for each row, about.
    pub(super) fn size(&self) -> usize {
        let one = self.all.first().map_or(0, Mlp::size);
        self.gate.size() + one * self.router.chosen + self.shared.as_ref().map_or(0, Mlp::size)
    }
}

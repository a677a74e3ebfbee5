//! Norms, linear maps and feed-forward parts with their weights.

use super::engine::Engine;
use super::math::{Activate, Add};
use super::matrix::{Matrix, to_f32};
use super::norms::{LayerNorm, RmsNorm};
use super::rows::{Rows, padded};
use super::simd::Vector;
use crate::spec::{Activation, GateSpec, LinearSpec, MatrixLayout, MlpSpec, NormKind, NormSpec};
use crate::weights::{Source, Stored, WeightsError};

#[derive(Debug)]
pub(super) struct Norm {
    weight: Vec<Vector>,
    /// Only layer norms have one.
    bias: Option<Vec<Vector>>,
    size: usize,
    eps: f32,
}

impl Norm {
    pub(super) fn new(spec: &NormSpec, weights: &Source<'_>) -> Result<Self, WeightsError> {
        let mut weight = to_f32(&weights.get(&spec.weight, &[spec.size])?);
        if spec.kind == NormKind::RmsPlusOne {
            for weight in &mut weight {
                *weight += 1.0;
            }
        }
        let bias = match &spec.kind {
            NormKind::Layer { bias } => Some(vector(weights, bias, spec.size)?),
            NormKind::Rms | NormKind::RmsPlusOne => None,
        };
        Ok(Self { weight: padded(&weight), bias, size: spec.size, eps: spec.eps as f32 })
    }

    /// One row, in place.
    pub(super) fn apply(&self, engine: &Engine, x: &mut [Vector]) {
        let (size, weight, eps) = (self.size, &self.weight[..], self.eps);
        match &self.bias {
            None => engine.run(RmsNorm { x, size, weight, eps }),
            Some(bias) => engine.run(LayerNorm { x, size, weight, bias, eps }),
        }
    }

    pub(super) fn forward(&self, engine: &Engine, x: &Rows) -> Rows {
        let mut normed = x.clone();
        engine.each_row(&mut normed, |_, row| self.apply(engine, row));
        normed
    }
}

/// A tensor of one dimension, in `f32`.
pub(super) fn vector(
    weights: &Source<'_>,
    name: &str,
    size: usize,
) -> Result<Vec<Vector>, WeightsError> {
    Ok(padded(&to_f32(&weights.get(name, &[size])?)))
}

#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Matrix,
    pub(super) bias: Option<Vec<Vector>>,
    /// Whether the rows of each head are in llama.cpp's order.
    pub(super) neighbours: bool,
}

impl Linear {
    pub(super) fn new(spec: &LinearSpec, weights: &Source<'_>) -> Result<Self, WeightsError> {
        Self::of(&weights.matrix(&spec.weight, &spec.stored_shape())?, spec, weights)
    }

    /// A map whose numbers stay what they are, whatever the others are converted to.
    pub(super) fn exact(spec: &LinearSpec, weights: &Source<'_>) -> Result<Self, WeightsError> {
        Self::of(&weights.get(&spec.weight, &spec.stored_shape())?, spec, weights)
    }

    /// The map of a head that uses the embedding again.
    pub(super) fn tied(weight: Matrix) -> Self {
        Self { weight, bias: None, neighbours: false }
    }

    fn of(stored: &Stored, spec: &LinearSpec, weights: &Source<'_>) -> Result<Self, WeightsError> {
        let weight = match spec.layout {
            MatrixLayout::OutputsFirst => Matrix::new(stored),
            MatrixLayout::InputsFirst => {
                let turned = Matrix::transposed(stored)?;
                weights.turned(turned.bytes.len());
                turned
            }
        };
        let bias = spec.bias.as_ref().map(|name| vector(weights, name, spec.outputs));
        Ok(Self { weight, bias: bias.transpose()?, neighbours: stored.neighbours })
    }

    pub(super) fn forward(&self, engine: &Engine, x: &Rows) -> Rows {
        let [y] = Self::all(engine, x, [self]);
        y
    }

    /// Several maps of the same rows, at once.
    pub(super) fn all<const N: usize>(engine: &Engine, x: &Rows, maps: [&Self; N]) -> [Rows; N] {
        let mut products = engine.products(x, maps.map(|map| &map.weight));
        for (product, map) in products.iter_mut().zip(maps) {
            if let Some(bias) = &map.bias {
                engine.each_row(product, |_, row| engine.run(Add { to: row, x: bias }));
            }
        }
        products
    }

    /// Multiplications for each row.
    pub(super) fn size(&self) -> usize {
        self.weight.outputs * self.weight.inputs
    }
}

#[derive(Debug)]
pub(super) struct Mlp {
    gate: Gate,
    up: Linear,
    down: Linear,
    activation: Activation,
}

#[derive(Debug)]
enum Gate {
    None,
    Separate(Linear),
    Fused,
}

impl Mlp {
    pub(super) fn new(spec: &MlpSpec, weights: &Source<'_>) -> Result<Self, WeightsError> {
        Ok(Self {
            gate: match &spec.gate {
                GateSpec::None => Gate::None,
                GateSpec::Separate(gate) => Gate::Separate(Linear::new(gate, weights)?),
                GateSpec::Fused => Gate::Fused,
            },
            up: Linear::new(&spec.up, weights)?,
            down: Linear::new(&spec.down, weights)?,
            activation: spec.activation,
        })
    }

    pub(super) fn forward(&self, engine: &Engine, x: &Rows) -> Rows {
        let activation = self.activation;
        let inner = match &self.gate {
            Gate::None => {
                let mut inner = self.up.forward(engine, x);
                engine.each_row(&mut inner, |_, gate| {
                    engine.run(Activate { activation, gate, up: None });
                });
                inner
            }
            Gate::Separate(gate) => {
                let [mut inner, up] = Linear::all(engine, x, [gate, &self.up]);
                engine.each_row(&mut inner, |index, gate| {
                    engine.run(Activate { activation, gate, up: Some(up.row(index)) });
                });
                inner
            }
            Gate::Fused => self.halves(engine, &self.up.forward(engine, x)),
        };
        self.down.forward(engine, &inner)
    }

    /// The activation of the first halves of some rows, times the second.
    fn halves(&self, engine: &Engine, both: &Rows) -> Rows {
        let half = both.width() / 2;
        let mut inner = Rows::zeros(both.count(), half);
        engine.each_row(&mut inner, |index, gate| {
            let (first, second) = both.numbers(index).split_at(half);
            let up = padded(second);
            super::simd::flat_mut(gate)[..half].copy_from_slice(first);
            engine.run(Activate { activation: self.activation, gate, up: Some(&up) });
        });
        inner
    }

    /// Multiplications for each row.
    pub(super) fn size(&self) -> usize {
        let gate = match &self.gate {
            Gate::Separate(gate) => gate.size(),
            Gate::None | Gate::Fused => 0,
        };
        gate + self.up.size() + self.down.size()
    }
}

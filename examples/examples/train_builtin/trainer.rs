//! The model under training: variables, gradients in shards, `AdamW`.

use std::collections::{BTreeMap, HashMap};
use std::f64::consts::PI;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, loss};
use taper_models::{Decoder, DecoderSpec};

/// Parts of a batch whose gradients are computed side by side and added in order. A constant, not
/// the number of cores, so that the sum is the same everywhere.
const SHARDS: usize = 4;
/// Longest gradient that is used as it is.
const MAX_NORM: f64 = 1.0;

/// A warm-up in a straight line, then half a cosine down to nothing.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// The highest learning rate.
    pub(crate) peak: f64,
    /// Steps up to it.
    pub(crate) warmup: usize,
    /// All steps.
    pub(crate) steps: usize,
}

impl Schedule {
    fn rate(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let share = (step - self.warmup) as f64 / (self.steps - self.warmup).max(1) as f64;
        self.peak * 0.5 * (1.0 + (PI * share).cos())
    }
}

/// A decoder over variables, with its optimiser.
pub(crate) struct Trainer {
    /// In the order of their names, which is the order of every sum over them.
    variables: BTreeMap<String, Var>,
    decoder: Decoder,
    optimizer: AdamW,
    schedule: Schedule,
    step: usize,
}

impl Trainer {
    /// These weights of `spec`, ready for the first step.
    pub(crate) fn new(
        spec: &DecoderSpec,
        weights: HashMap<String, Tensor>,
        schedule: Schedule,
    ) -> tokenizers::Result<Self> {
        let mut variables = BTreeMap::new();
        for (name, tensor) in weights {
            variables.insert(name, Var::from_tensor(&tensor.to_dtype(DType::F32)?)?);
        }
        let tensors: HashMap<String, Tensor> =
            (variables.iter()).map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        // No decay: with it, short lists came out flatter than the grammar has them.
        let options = ParamsAdamW { weight_decay: 0.0, ..ParamsAdamW::default() };
        Ok(Self {
            decoder: Decoder::new(spec, &tensors, DType::F32, &Device::Cpu)?,
            optimizer: AdamW::new(variables.values().cloned().collect(), options)?,
            variables,
            schedule,
            step: 0,
        })
    }

    /// One step on `inputs` and what follows them, both `[rows, length]` with as many rows as
    /// [`SHARDS`] or a multiple; returns the mean loss in nats a token.
    pub(crate) fn step(&mut self, inputs: &Tensor, targets: &Tensor) -> Result<f64> {
        let rows = inputs.dim(0)? / SHARDS;
        let shard = |index: usize| -> Result<(f64, GradStore)> {
            let logits = self.decoder.forward_train(&inputs.narrow(0, index * rows, rows)?)?;
            let targets = targets.narrow(0, index * rows, rows)?.flatten_all()?;
            let loss = loss::cross_entropy(&logits.flatten_to(1)?, &targets)?;
            Ok((f64::from(loss.to_scalar::<f32>()?), loss.backward()?))
        };
        let (even, odd) = std::thread::scope(|scope| {
            let even =
                scope.spawn(|| (0..SHARDS).step_by(2).map(shard).collect::<Result<Vec<_>>>());
            let odd = (1..SHARDS).step_by(2).map(shard).collect::<Result<Vec<_>>>();
            (even.join().expect("a shard does not panic"), odd)
        });
        let shards: Vec<_> = even?.into_iter().chain(odd?).collect();
        let loss = shards.iter().map(|(loss, _)| loss).sum::<f64>() / SHARDS as f64;
        let gradient = self.mean_gradient(shards.into_iter().map(|(_, grads)| grads).collect())?;
        self.optimizer.set_learning_rate(self.schedule.rate(self.step));
        self.optimizer.step(&gradient)?;
        self.step += 1;
        Ok(loss)
    }

    /// The mean over the shards, cut to [`MAX_NORM`].
    fn mean_gradient(&self, shards: Vec<GradStore>) -> Result<GradStore> {
        let mut means = Vec::new();
        let mut square = 0.0;
        for var in self.variables.values() {
            let parts: Vec<&Tensor> = shards.iter().filter_map(|grads| grads.get(var)).collect();
            let sum = parts[1..].iter().try_fold(parts[0].clone(), |sum, part| sum + *part)?;
            let mean = (sum / SHARDS as f64)?;
            square += f64::from(mean.sqr()?.sum_all()?.to_scalar::<f32>()?);
            means.push(mean);
        }
        let scale = (MAX_NORM / square.sqrt()).min(1.0);
        let mut gradient =
            shards.into_iter().next().ok_or_else(|| candle_core::Error::msg("no shard"))?;
        for (var, mean) in self.variables.values().zip(means) {
            gradient.insert(var, (mean * scale)?);
        }
        Ok(gradient)
    }

    /// The weights as they are stored: `f16`, by name.
    pub(crate) fn half_weights(&self) -> Result<BTreeMap<String, Tensor>> {
        let half = |(name, var): (&String, &Var)| Ok((name.clone(), var.to_dtype(DType::F16)?));
        self.variables.iter().map(half).collect()
    }
}

//! Mamba-2 with its weights: token by token, head by head.

use super::cache::Recurrent;
use super::decoder::Pass;
use super::engine::Engine;
use super::math::{Exp, Map, Softplus, silu};
use super::matrix::to_f32;
use super::norms::RmsNorm;
use super::parts::{Linear, vector};
use super::rows::{Rows, padded, vectors};
use super::simd::{Kernel, Simd, Vector, flat, flat_mut};
use crate::spec::MambaSpec;
use crate::weights::{Source, WeightsError};

#[derive(Debug)]
pub(super) struct Mamba {
    spec: MambaSpec,
    /// Number of this mixer among the decoder's recurrent ones.
    slot: usize,
    input: Linear,
    /// `[kernel, channels]`.
    taps: Vec<Vec<Vector>>,
    conv_bias: Vec<Vector>,
    dt_bias: Vec<Vector>,
    /// The decay rates of the heads, below 0.
    rates: Vec<f32>,
    d: Vec<f32>,
    /// By group.
    norm: Vec<Vec<Vector>>,
    output: Linear,
}

impl Mamba {
    pub(super) fn new(
        spec: &MambaSpec,
        slot: usize,
        engine: &Engine,
        weights: &Source<'_>,
    ) -> Result<Self, WeightsError> {
        let (channels, heads, kernel) = (spec.channels(), spec.heads, spec.kernel);
        let conv = to_f32(&weights.get(&spec.conv_weight, &[channels, 1, kernel])?);
        let tap =
            |tap: usize| -> Vec<f32> { conv.iter().skip(tap).step_by(kernel).copied().collect() };
        let conv_bias = match &spec.conv_bias {
            Some(name) => vector(weights, name, channels)?,
            None => vec![Vector::ZERO; vectors(channels)],
        };
        let mut rates = vector(weights, &spec.a_log, heads)?;
        engine.run(Map { x: &mut rates, function: Exp });
        let norm = to_f32(&weights.get(&spec.norm.weight, &[spec.norm.size])?);
        Ok(Self {
            slot,
            input: Linear::new(&spec.input, weights)?,
            taps: (0..kernel).map(|index| padded(&tap(index))).collect(),
            conv_bias,
            dt_bias: vector(weights, &spec.dt_bias, heads)?,
            rates: flat(&rates)[..heads].iter().map(|rate| -rate).collect(),
            d: to_f32(&weights.get(&spec.d, &[heads])?),
            norm: norm.chunks(spec.norm.size / spec.groups).map(padded).collect(),
            output: Linear::new(&spec.output, weights)?,
            spec: spec.clone(),
        })
    }

    pub(super) fn forward(&self, engine: &Engine, x: &Rows, pass: &mut Pass<'_, '_>) -> Rows {
        let projected = self.input.forward(engine, x);
        let mut read = Rows::zeros(x.count(), self.spec.inner());
        let mut first = 0;
        for segment in pass.segments {
            let tokens = first..first + segment.tokens.len();
            let key = (segment.row, self.slot);
            // A long piece of work is computed in several passes: the earlier ones come first.
            let past = pass.advanced.remove(&key).or_else(|| {
                let row = pass.cache.row(segment.row).ok()?;
                row.recurrent(self.slot).cloned()
            });
            let mut state = past.unwrap_or_else(|| self.empty());
            let mixed = self.convolve(engine, &projected, tokens.clone(), &mut state);
            self.scan(engine, &projected, &mixed, tokens.start, &mut state, &mut read);
            pass.advanced.insert(key, state);
            first = tokens.end;
        }
        engine.each_row(&mut read, |token, y| self.gate(engine, projected.numbers(token), y));
        self.output.forward(engine, &read)
    }

    fn empty(&self) -> Recurrent {
        let MambaSpec { heads, head_dim, state_size, kernel, .. } = self.spec;
        let inputs = (kernel - 1) * vectors(self.spec.channels());
        Recurrent {
            inputs: vec![Vector::ZERO; inputs],
            state: vec![Vector::ZERO; heads * head_dim * vectors(state_size)],
        }
    }

    /// The causal convolution of the channels of some tokens; the last inputs are remembered.
    fn convolve(
        &self,
        engine: &Engine,
        projected: &Rows,
        tokens: std::ops::Range<usize>,
        state: &mut Recurrent,
    ) -> Rows {
        let (inner, channels) = (self.spec.inner(), self.spec.channels());
        let (width, seen) = (vectors(channels), self.spec.kernel - 1);
        let mut inputs = std::mem::take(&mut state.inputs);
        for token in tokens.clone() {
            inputs.extend(padded(&projected.numbers(token)[inner..inner + channels]));
        }
        let mut mixed = Rows::zeros(tokens.len(), channels);
        engine.each_row(&mut mixed, |token, to| {
            let inputs = &inputs[token * width..][..self.spec.kernel * width];
            engine.run(Convolve { inputs, taps: &self.taps, bias: &self.conv_bias, to });
        });
        state.inputs = inputs.split_off(inputs.len() - seen * width);
        mixed
    }

    /// The recurrence, of tokens from `first` on; what they read is left in `read`.
    fn scan(
        &self,
        engine: &Engine,
        projected: &Rows,
        mixed: &Rows,
        first: usize,
        state: &mut Recurrent,
        read: &mut Rows,
    ) {
        let MambaSpec { heads, head_dim, state_size, groups, .. } = self.spec;
        let (inner, count, width) = (self.spec.inner(), mixed.count(), vectors(state_size));
        let start = inner + self.spec.channels();
        let mut steps = Rows::zeros(count, heads);
        steps.each_mut().enumerate().for_each(|(token, row)| {
            let own = &projected.numbers(first + token)[start..start + heads];
            flat_mut(row)[..heads].copy_from_slice(own);
            engine.run(super::math::Add { to: row, x: &self.dt_bias });
            engine.run(Map { x: row, function: Softplus });
        });
        // What B and C of each group are, padded.
        let shared = |from: usize| -> Vec<Vec<Vector>> {
            let of = |(token, group): (usize, usize)| {
                padded(&mixed.numbers(token)[from + group * state_size..][..state_size])
            };
            let pairs = (0..count).flat_map(|token| (0..groups).map(move |group| (token, group)));
            pairs.map(of).collect()
        };
        let (b, c) = (shared(inner), shared(inner + groups * state_size));
        let mut outs = vec![0.0; heads * count * head_dim];
        let states = state.state.chunks_exact_mut(head_dim * width);
        let tasks = states.zip(outs.chunks_exact_mut(count * head_dim)).enumerate();
        let head = |(head, (state, out)): (usize, (&mut [Vector], &mut [f32]))| {
            let group = head / (heads / groups);
            for token in 0..count {
                engine.run(Step {
                    x: &mixed.numbers(token)[head * head_dim..][..head_dim],
                    b: &b[token * groups + group],
                    c: &c[token * groups + group],
                    dt: flat(steps.row(token))[head],
                    rate: self.rates[head],
                    d: self.d[head],
                    state: &mut *state,
                    out: &mut out[token * head_dim..][..head_dim],
                });
            }
        };
        if engine.shares(count * heads * head_dim * state_size) {
            engine.each(tasks.collect(), head);
        } else {
            tasks.for_each(head);
        }
        for (head, out) in outs.chunks_exact(count * head_dim).enumerate() {
            for (token, out) in out.chunks_exact(head_dim).enumerate() {
                let to = &mut read.numbers_mut(first + token)[head * head_dim..][..head_dim];
                to.copy_from_slice(out);
            }
        }
    }

    /// `y silu(z)`, normed group by group.
    fn gate(&self, engine: &Engine, z: &[f32], y: &mut [Vector]) {
        let size = self.spec.inner() / self.spec.groups;
        let numbers = &mut flat_mut(y)[..self.spec.inner()];
        let groups = numbers.chunks_exact_mut(size).zip(z.chunks_exact(size));
        for ((y, z), weight) in groups.zip(&self.norm) {
            let (mut own, z) = (padded(y), padded(z));
            engine.run(Gate { y: &mut own, z: &z });
            let eps = self.spec.norm.eps as f32;
            engine.run(RmsNorm { x: &mut own, size, weight, eps });
            y.copy_from_slice(&flat(&own)[..size]);
        }
    }

    /// Multiplications for each row.
    pub(super) fn size(&self) -> usize {
        self.input.size() + self.output.size()
    }
}

/// `silu(bias + sum of taps * inputs)`, the taps ascending.
struct Convolve<'a> {
    /// `[kernel, channels]`, the token's own last.
    inputs: &'a [Vector],
    taps: &'a [Vec<Vector>],
    bias: &'a [Vector],
    to: &'a mut [Vector],
}

impl Kernel for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.to.len();
        for (index, to) in self.to.iter_mut().enumerate() {
            let mut sum = simd.load(&self.bias[index]);
            for (tap, weights) in self.taps.iter().enumerate() {
                let input = simd.load(&self.inputs[tap * width + index]);
                sum = simd.fma(input, simd.load(&weights[index]), sum);
            }
            simd.store(silu(simd, sum), to);
        }
    }
}

/// One token and head: `S = exp(dt a) S + dt x B`, `y = S C + d x`.
struct Step<'a> {
    x: &'a [f32],
    b: &'a [Vector],
    c: &'a [Vector],
    dt: f32,
    rate: f32,
    d: f32,
    /// `[head_dim, state_size]`.
    state: &'a mut [Vector],
    out: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let decay = super::math::exp(simd, simd.splat(self.dt * self.rate));
        let rows = self.state.chunks_exact_mut(self.b.len());
        for ((x, out), row) in self.x.iter().zip(self.out).zip(rows) {
            let brought = simd.splat(self.dt * x);
            let mut lanes = simd.splat(0.0);
            for ((held, b), c) in row.iter_mut().zip(self.b).zip(self.c) {
                let kept = simd.mul(simd.load(held), decay);
                let next = simd.fma(brought, simd.load(b), kept);
                lanes = simd.fma(next, simd.load(c), lanes);
                simd.store(next, held);
            }
            *out = simd.sum(lanes) + self.d * x;
        }
    }
}

/// `y silu(z)`, in `y`.
struct Gate<'a> {
    y: &'a mut [Vector],
    z: &'a [Vector],
}

impl Kernel for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (y, z) in self.y.iter_mut().zip(self.z) {
            simd.store(simd.mul(simd.load(y), silu(simd, simd.load(z))), y);
        }
    }
}

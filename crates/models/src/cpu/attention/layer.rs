//! Attention with its weights.

use super::Reader;
use crate::cache::BLOCK;
use crate::cpu::decoder::Pass;
use crate::cpu::engine::Engine;
use crate::cpu::parts::{Linear, Norm};
use crate::cpu::rows::{Rows, vectors};
use crate::cpu::simd::{LANES, flat_mut};
use crate::spec::{AttentionSpec, NormSpec, QkvSpec};
use crate::weights::{Source, WeightsError};

#[derive(Debug)]
pub(in crate::cpu) struct Attention {
    spec: AttentionSpec,
    /// Number of this attention among the decoder's.
    slot: usize,
    /// Number of its rotation among the decoder's.
    rotation: Option<usize>,
    qkv: Qkv,
    o: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
}

#[derive(Debug)]
enum Qkv {
    Separate(Box<[Linear; 3]>),
    Fused(Linear),
}

impl Attention {
    pub(in crate::cpu) fn new(
        spec: &AttentionSpec,
        slot: usize,
        rotation: Option<usize>,
        weights: &Source<'_>,
    ) -> Result<Self, WeightsError> {
        let norm = |spec: &Option<NormSpec>| {
            spec.as_ref().map(|norm| Norm::new(norm, weights)).transpose()
        };
        let linear = |spec| Linear::new(spec, weights);
        Ok(Self {
            slot,
            rotation,
            qkv: match &spec.qkv {
                QkvSpec::Separate { q, k, v } => {
                    Qkv::Separate(Box::new([linear(q)?, linear(k)?, linear(v)?]))
                }
                QkvSpec::Fused(map) => Qkv::Fused(linear(map)?),
            },
            o: linear(&spec.o)?,
            q_norm: norm(&spec.q_norm)?,
            k_norm: norm(&spec.k_norm)?,
            spec: spec.clone(),
        })
    }

    pub(in crate::cpu) fn forward(
        &self,
        engine: &Engine,
        x: &Rows,
        pass: &mut Pass<'_, '_>,
    ) -> Rows {
        let AttentionSpec { heads, kv_heads, head_dim, .. } = self.spec;
        let (q, kv) = (heads * head_dim, kv_heads * head_dim);
        let [queries, keys, values] = match &self.qkv {
            Qkv::Separate(maps) => {
                let maps = Linear::all(engine, x, [&maps[0], &maps[1], &maps[2]]);
                let [queries, keys, values] = &maps;
                [
                    self.place(engine, (queries, 0), heads, self.q_norm.as_ref(), true, pass),
                    self.place(engine, (keys, 0), kv_heads, self.k_norm.as_ref(), true, pass),
                    self.place(engine, (values, 0), kv_heads, None, false, pass),
                ]
            }
            Qkv::Fused(map) => {
                let all = &map.forward(engine, x);
                [
                    self.place(engine, (all, 0), heads, self.q_norm.as_ref(), true, pass),
                    self.place(engine, (all, q), kv_heads, self.k_norm.as_ref(), true, pass),
                    self.place(engine, (all, q + kv), kv_heads, None, false, pass),
                ]
            }
        };
        self.remember(&keys, &values, pass);
        let reader = Reader {
            engine,
            cache: &*pass.cache,
            segments: pass.segments,
            spec: &self.spec,
            slot: self.slot,
            queries: &queries,
        };
        let read = reader.read();
        if let Some(watch) = pass.watch.as_deref_mut().filter(|watch| watch.wants().attention) {
            for (index, segment) in pass.segments.iter().enumerate() {
                let window = self.spec.window.unwrap_or(usize::MAX);
                let first = (segment.position + 1).saturating_sub(window);
                let shares = reader.shares(index, first);
                watch.attention(segment, self.slot, heads, first, &shares);
            }
        }
        self.o.forward(engine, &read)
    }

    /// Heads from number `from` of each row on, each padded to whole vectors, normed, and rotated.
    fn place(
        &self,
        engine: &Engine,
        (numbers, from): (&Rows, usize),
        heads: usize,
        norm: Option<&Norm>,
        rotates: bool,
        pass: &Pass<'_, '_>,
    ) -> Rows {
        let (dim, head) = (self.spec.head_dim, vectors(self.spec.head_dim));
        let angles = self.rotation.filter(|_| rotates).map(|index| &pass.angles[index]);
        let maps_neighbours = match &self.qkv {
            Qkv::Separate(maps) => maps[0].neighbours,
            Qkv::Fused(map) => map.neighbours,
        };
        let neighbours = rotates && maps_neighbours;
        let mut placed = Rows::zeros(numbers.count(), heads * head * LANES);
        engine.each_row(&mut placed, |token, row| {
            let own = numbers.numbers(token)[from..].chunks_exact(dim);
            for (head, own) in row.chunks_exact_mut(head).zip(own) {
                let numbers = &mut flat_mut(head)[..dim];
                if neighbours {
                    part(own, numbers);
                } else {
                    numbers.copy_from_slice(own);
                }
                if let Some(norm) = norm {
                    norm.apply(engine, head);
                }
                if let Some(angles) = angles {
                    angles.rotate(token, &mut flat_mut(head)[..dim]);
                }
            }
        });
        placed
    }

    /// Multiplications for each row.
    pub(in crate::cpu) fn size(&self) -> usize {
        let qkv = match &self.qkv {
            Qkv::Separate(maps) => maps.iter().map(Linear::size).sum(),
            Qkv::Fused(map) => map.size(),
        };
        qkv + self.o.size()
    }

    /// Stores keys and values behind the ends of the rows.
    fn remember(&self, keys: &Rows, values: &Rows, pass: &mut Pass<'_, '_>) {
        let (head, mut token) = (vectors(self.spec.head_dim), 0);
        let layout = std::sync::Arc::clone(pass.cache.layout());
        for segment in pass.segments {
            for position in (segment.position..).take(segment.tokens.len()) {
                // `reserve` has made every block that is written to this row's alone.
                let row = pass.cache.row_mut(segment.row).ok();
                let Some(block) = row.and_then(|row| row.block_mut(position)) else { continue };
                for kv_head in 0..self.spec.kv_heads {
                    let own = kv_head * head..(kv_head + 1) * head;
                    let (key, value) = (&keys.row(token)[own.clone()], &values.row(token)[own]);
                    block.write(&layout, self.slot, kv_head, position % BLOCK, [key, value]);
                }
                token += 1;
            }
        }
    }
}

/// Undoes llama.cpp's order within a head, where the two numbers that are rotated together are
/// neighbours: here the first half of a head is paired with the second. The weights stay as they lie.
fn part(own: &[f32], head: &mut [f32]) {
    let (first, second) = head.split_at_mut(own.len() / 2);
    for ((pair, first), second) in own.as_chunks::<2>().0.iter().zip(first).zip(second) {
        (*first, *second) = (pair[0], pair[1]);
    }
}

//! Attention: one algorithm for a prompt and for a step.
//!
//! Keys are cut into spans at absolute positions, whatever a call brings:
//!
//! ```text
//! for a query and each span of keys that it sees, in order:
//!     scores  = dot(query, key) * scale, for the keys that it sees; the others are passed over
//!     largest = the largest of them
//!     shares  = e^(scores - largest)
//!     total   = sum of shares; read = sum of shares * values, keys ascending
//!     merge with the spans before: both sides are scaled to the larger of the two largest
//! read / total
//! ```
//!
//! A span's part is a function of the query and of the keys in the span alone, so threads may compute
//! the spans of a long row side by side; they are merged in order.

mod layer;
mod rotation;
mod span;

use std::ops::Range;

pub(super) use self::layer::Attention;
pub(super) use self::rotation::{Angles, Rotation};
use self::span::{Merge, Part, SPAN, Span};
use super::cache::CpuLayout;
use super::engine::Engine;
use super::rows::{Rows, vectors};
use super::simd::{LANES, Vector, flat, flat_mut};
use crate::cache::{Cache, Row};
use crate::passes::Segment;
use crate::spec::AttentionSpec;

/// Queries that go over the keys of a head together, those of several positions and heads.
const QUERIES: usize = 32;

/// What attention number `slot` reads for the tokens of some segments.
pub(super) struct Reader<'a> {
    pub(super) engine: &'a Engine,
    pub(super) cache: &'a Cache<CpuLayout>,
    pub(super) segments: &'a [Segment],
    pub(super) spec: &'a AttentionSpec,
    pub(super) slot: usize,
    /// Rows of a token's heads, each padded to whole vectors.
    pub(super) queries: &'a Rows,
}

/// Queries of neighbouring positions that share a key head.
#[derive(Clone)]
struct Task<'a> {
    row: &'a Row<CpuLayout>,
    kv_head: usize,
    /// Index of the first token in the pass, and how many.
    tokens: Range<usize>,
    /// Position of the first of them.
    position: usize,
    /// Which spans of keys.
    spans: Range<usize>,
}

impl Reader<'_> {
    /// Rows `[heads * head_dim]`.
    pub(super) fn read(&self) -> Rows {
        let AttentionSpec { heads, kv_heads, head_dim, .. } = *self.spec;
        let (group, head) = (heads / kv_heads, vectors(head_dim));
        let tasks = self.tasks();
        let parts = self.parts(&tasks);
        let mut starts = vec![0; self.queries.count()];
        for (index, task) in tasks.iter().enumerate().step_by(kv_heads) {
            starts[task.tokens.clone()].fill(index);
        }
        let mut read = Rows::zeros(self.queries.count(), heads * head_dim);
        self.engine.each_row(&mut read, |token, row| {
            for kv_head in 0..kv_heads {
                let task = starts[token] + kv_head;
                let (own, part) = (token - tasks[task].tokens.start, &parts[task]);
                for member in 0..group {
                    let index = own * group + member;
                    let numbers = flat(&part.read[index * head..][..head]);
                    let to = (kv_head * group + member) * head_dim;
                    let to = &mut flat_mut(row)[to..to + head_dim];
                    for (to, number) in to.iter_mut().zip(numbers) {
                        *to = number / part.total[index];
                    }
                }
            }
        });
        read
    }

    /// The tasks: those of the key heads follow one another.
    fn tasks(&self) -> Vec<Task<'_>> {
        let group = self.spec.heads / self.spec.kv_heads;
        let (chunk, mut first, mut tasks) = ((QUERIES / group).max(1), 0, Vec::new());
        for segment in self.segments {
            // `check` has found every row.
            let Ok(row) = self.cache.row(segment.row) else { continue };
            for start in (0..segment.tokens.len()).step_by(chunk) {
                let count = chunk.min(segment.tokens.len() - start);
                let position = segment.position + start;
                let seen = self.seen(position).start..position + count;
                let spans = seen.start / SPAN..seen.end.div_ceil(SPAN);
                let tokens = first + start..first + start + count;
                tasks.extend((0..self.spec.kv_heads).map(|kv_head| Task {
                    row,
                    kv_head,
                    tokens: tokens.clone(),
                    position,
                    spans: spans.clone(),
                }));
            }
            first += segment.tokens.len();
        }
        tasks
    }

    /// The positions that the query at a position sees.
    fn seen(&self, position: usize) -> Range<usize> {
        let window = self.spec.window.unwrap_or(usize::MAX);
        (position + 1).saturating_sub(window)..position + 1
    }

    /// What each task reads.
    fn parts(&self, tasks: &[Task<'_>]) -> Vec<Part> {
        let threads = self.engine.parallel();
        // Where there are few queries and many keys, the spans are what is shared out.
        let split = threads > 1 && tasks.len() < 2 * threads;
        let mut pieces: Vec<(Task<'_>, Option<Part>)> = Vec::new();
        for task in tasks {
            if split {
                let spans = task.spans.clone();
                let alone = |span| (Task { spans: span..span + 1, ..task.clone() }, None);
                pieces.extend(spans.map(alone));
            } else {
                pieces.push((task.clone(), None));
            }
        }
        let keys: usize = pieces.iter().map(|(task, _)| task.spans.len() * task.tokens.len()).sum();
        let run = |(task, part): &mut (Task<'_>, Option<Part>)| *part = Some(self.part(task));
        let group = self.spec.heads / self.spec.kv_heads;
        if self.engine.shares(keys * SPAN * group * self.spec.head_dim) {
            self.engine.each(pieces.iter_mut().collect(), run);
        } else {
            pieces.iter_mut().for_each(run);
        }
        let mut pieces = pieces.into_iter().filter_map(|(_, part)| part);
        let each = tasks.iter().map(|task| {
            let count = if split { task.spans.len() } else { 1 };
            let mut parts = pieces.by_ref().take(count);
            let first = parts.next().unwrap_or_default();
            parts.fold(first, |sum, part| self.merge(sum, &part))
        });
        each.collect()
    }

    fn merge(&self, mut sum: Part, part: &Part) -> Part {
        self.engine.run(Merge { sum: &mut sum, part });
        sum
    }

    /// What a task reads of its spans.
    fn part(&self, task: &Task<'_>) -> Part {
        let AttentionSpec { heads, kv_heads, head_dim, .. } = *self.spec;
        let (group, head) = (heads / kv_heads, vectors(head_dim));
        let mut queries = Vec::with_capacity(task.tokens.len() * group * head);
        for token in task.tokens.clone() {
            let own = &self.queries.row(token)[task.kv_head * group * head..];
            queries.extend_from_slice(&own[..group * head]);
        }
        let mut sum: Option<Part> = None;
        for index in task.spans.clone() {
            let part = self.span(task, index, &queries, group, head);
            sum = Some(match sum {
                None => part,
                Some(sum) => self.merge(sum, &part),
            });
        }
        sum.unwrap_or_default()
    }

    fn span(
        &self,
        task: &Task<'_>,
        index: usize,
        queries: &[Vector],
        group: usize,
        head: usize,
    ) -> Part {
        let start = index * SPAN;
        let seen: Vec<Range<usize>> = (0..task.tokens.len() * group)
            .map(|query| {
                let seen = self.seen(task.position + query / group);
                let within = |at: usize| at.clamp(start, start + SPAN) - start;
                within(seen.start)..within(seen.end)
            })
            .collect();
        let seen_by = |seen: &&Range<usize>| !seen.is_empty();
        let first = seen.iter().filter(seen_by).map(|seen| seen.start).min().unwrap_or(0);
        let end = seen.iter().map(|seen| seen.end).max().unwrap_or(0);
        let mut blocks = Vec::new();
        let mut at = first;
        for (block, part) in task.row.parts(start + first..start + end.max(first)) {
            let [keys, values] = block.head(self.cache.layout(), self.slot, task.kv_head);
            let own = part.start * head..part.end * head;
            blocks.push((at, &keys[own.clone()], &values[own]));
            at += part.len();
        }
        let scale = self.spec.scale as f32;
        self.engine.run(Span { queries, head, scale, seen: &seen, blocks: &blocks })
    }

    /// Shares of the keys from position `first` on, `[heads, tokens of the segment, keys]`.
    pub(super) fn shares(&self, segment: usize, first: usize) -> Vec<f32> {
        let AttentionSpec { heads, kv_heads, head_dim, scale, .. } = *self.spec;
        let own = &self.segments[segment];
        let before: usize = self.segments[..segment].iter().map(|one| one.tokens.len()).sum();
        let (head, keys) = (vectors(head_dim), own.position + own.tokens.len() - first);
        let mut shares = Vec::with_capacity(heads * own.tokens.len() * keys);
        let Ok(row) = self.cache.row(own.row) else { return shares };
        for of in 0..heads {
            for token in 0..own.tokens.len() {
                let query = &self.queries.row(before + token)[of * head..][..head];
                let seen = self.seen(own.position + token);
                let mut scores = vec![Vector::ZERO; vectors(keys)];
                flat_mut(&mut scores).fill(f32::NEG_INFINITY);
                let mut position = first;
                for (block, part) in row.parts(first..first + keys) {
                    let [held, _] =
                        block.head(self.cache.layout(), self.slot, of * kv_heads / heads);
                    for key in held[part.start * head..part.end * head].chunks_exact(head) {
                        if seen.contains(&position) {
                            let score = self.engine.run(span::Score { query, key });
                            flat_mut(&mut scores)[position - first] = score * scale as f32;
                        }
                        position += 1;
                    }
                }
                super::math::softmax(self.engine.unit(), &mut scores, keys);
                shares.extend_from_slice(&flat(&scores)[..keys]);
            }
        }
        shares
    }
}

/// Spans are whole vectors of scores.
const _: () = assert!(SPAN.is_multiple_of(LANES));

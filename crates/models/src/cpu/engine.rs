//! The vector unit and the threads.
//!
//! Threads share out what is to be computed, and never a sum: how many there are changes no number.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::dot::{OneRow, Scratch, Tiles};
use super::formats::with_layout;
use super::matrix::Matrix;
use super::rows::{Rows, vectors};
use super::simd::{Kernel, Unit, Vector, flat_mut};

/// Multiplications that are done before a second thread has woken up.
const WORTH_THREADS: usize = 1 << 18;

/// A call of fewer multiplications stays on the thread of its caller: to hand it to the pool takes
/// two changes of threads.
const WORTH_A_POOL: usize = 1 << 22;

/// Most rows that go over decoded weights at once: with the weights they fit into a cache of 1 MiB.
const ROWS: usize = 128;

/// Fewest outputs for a thread to take.
const OUTPUTS: usize = 24;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What computes.
#[derive(Debug)]
pub(super) struct Engine {
    unit: Unit,
    /// Absent where there is one thread.
    pool: Option<ThreadPool>,
    /// Multiplications from which on threads share out a product.
    worth_threads: usize,
    /// Those from which on a call goes to the pool.
    worth_a_pool: usize,
}

impl Engine {
    /// On so many threads.
    pub(super) fn new(unit: Unit, threads: usize) -> std::io::Result<Self> {
        let pool = (threads > 1).then(|| {
            let builder = ThreadPoolBuilder::new().num_threads(threads);
            builder.thread_name(|index| format!("taper-{index}")).build()
        });
        let pool = pool.transpose().map_err(std::io::Error::other)?;
        Ok(Self { unit, pool, worth_threads: WORTH_THREADS, worth_a_pool: WORTH_A_POOL })
    }

    /// One that shares out whatever there is, however small.
    #[cfg(test)]
    pub(super) fn eager(unit: Unit, threads: usize) -> Self {
        Self { worth_threads: 0, worth_a_pool: 0, ..Self::new(unit, threads).unwrap() }
    }

    /// Whether a piece of work of so many multiplications is for all threads.
    pub(super) fn shares(&self, multiplications: usize) -> bool {
        multiplications >= self.worth_threads
    }

    pub(super) fn unit(&self) -> Unit {
        self.unit
    }

    pub(super) fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, ThreadPool::current_num_threads)
    }

    pub(super) fn run<K: Kernel>(&self, kernel: K) -> K::Output {
        self.unit.run(kernel)
    }

    /// Runs a call of so many multiplications: what it hands to [`each`](Self::each) runs on all
    /// threads, unless it is too small.
    pub(super) fn enter<R: Send>(
        &self,
        multiplications: usize,
        call: impl FnOnce() -> R + Send,
    ) -> R {
        match &self.pool {
            Some(pool) if multiplications >= self.worth_a_pool => pool.install(call),
            _ => call(),
        }
    }

    /// How many threads [`each`](Self::each) runs on here.
    pub(super) fn parallel(&self) -> usize {
        let pool = self.pool.as_ref().filter(|pool| pool.current_thread_index().is_some());
        pool.map_or(1, ThreadPool::current_num_threads)
    }

    /// Does `task` to each of some tasks, on all threads.
    pub(super) fn each<T: Send>(&self, tasks: Vec<T>, task: impl Fn(T) + Sync) {
        if tasks.len() < 2 || self.parallel() == 1 {
            return tasks.into_iter().for_each(task);
        }
        let task = &task;
        rayon::scope(|scope| {
            for one in tasks {
                scope.spawn(move |_| task(one));
            }
        });
    }

    /// Does `task` to each row, with its index, on all threads where there are many numbers.
    pub(super) fn each_row(&self, rows: &mut Rows, task: impl Fn(usize, &mut [Vector]) + Sync) {
        let (count, stride) = (rows.count(), rows.stride());
        let threads =
            if count * rows.width() < self.worth_threads / 8 { 1 } else { self.parallel() };
        let share = count.div_ceil(threads).max(1);
        let parts = rows.all_mut().chunks_mut(share * stride).enumerate().collect();
        self.each(parts, |(part, rows): (usize, &mut [Vector])| {
            for (index, row) in rows.chunks_exact_mut(stride).enumerate() {
                task(part * share + index, row);
            }
        });
    }

    /// The products of some rows with each of some matrices.
    pub(super) fn products<const N: usize>(&self, x: &Rows, matrices: [&Matrix; N]) -> [Rows; N] {
        let count = x.count();
        let mut products = matrices.map(|matrix| Rows::zeros(count, matrix.outputs));
        let numbers: usize = matrices.iter().map(|matrix| matrix.outputs * matrix.inputs).sum();
        let worth = numbers * count >= self.worth_threads;
        let threads = if worth { self.parallel() } else { 1 };
        let panels = panel(count, threads);
        if count == 1 {
            let total: usize = matrices.iter().map(|matrix| matrix.outputs).sum();
            let share = share(total, threads);
            let mut tasks = Vec::new();
            for (product, matrix) in products.iter_mut().zip(matrices) {
                let parts = product.numbers_mut(0).chunks_mut(share).enumerate();
                tasks.extend(parts.map(|(index, out)| (matrix, index * share, out)));
            }
            self.each(tasks, |(matrix, first, out)| self.one_row(x.row(0), matrix, first, out));
        } else if count.div_ceil(panels) >= threads {
            let mut tasks = Vec::new();
            for (product, matrix) in products.iter_mut().zip(matrices) {
                let (from, to) = (panels * x.stride(), panels * product.stride());
                let parts = x.all().chunks(from).zip(product.all_mut().chunks_mut(to));
                tasks.extend(parts.map(|(x, out)| (matrix, x, out)));
            }
            self.each(tasks, |(matrix, x, out)| {
                self.tiles(
                    x,
                    matrix,
                    0..matrix.outputs,
                    flat_mut(out),
                    vectors(matrix.outputs) * 16,
                );
            });
        } else {
            for (product, matrix) in products.iter_mut().zip(matrices) {
                self.by_outputs(x, matrix, panels, threads, product);
            }
        }
        products
    }

    /// Few rows: each thread computes some outputs of all of them, beside one another, which are put
    /// in their places afterwards.
    fn by_outputs(&self, x: &Rows, matrix: &Matrix, panels: usize, threads: usize, to: &mut Rows) {
        let share = share(matrix.outputs, threads).next_multiple_of(OUTPUTS);
        let firsts = (0..matrix.outputs).step_by(share);
        let mut parts: Vec<(Range<usize>, Vec<f32>)> = firsts
            .map(|first| {
                let columns = first..matrix.outputs.min(first + share);
                let room = vec![0.0; columns.len() * x.count()];
                (columns, room)
            })
            .collect();
        self.each(parts.iter_mut().collect(), |(columns, out)| {
            let width = columns.len();
            let panels = x.all().chunks(panels * x.stride()).zip(out.chunks_mut(panels * width));
            panels.for_each(|(x, out)| self.tiles(x, matrix, columns.clone(), out, width));
        });
        for (columns, out) in &parts {
            for (index, out) in out.chunks_exact(columns.len()).enumerate() {
                to.numbers_mut(index)[columns.clone()].copy_from_slice(out);
            }
        }
    }

    fn one_row(&self, x: &[Vector], matrix: &Matrix, first: usize, out: &mut [f32]) {
        let row_bytes = matrix.row_bytes();
        let weights = &matrix.bytes[first * row_bytes..][..out.len() * row_bytes];
        with_layout!(matrix.format, L => {
            self.run(OneRow::<L> { weights, row_bytes, x, out, layout: PhantomData });
        });
    }

    /// Some outputs of rows `x`, into rows of `out_width` numbers.
    fn tiles(
        &self,
        x: &[Vector],
        matrix: &Matrix,
        outputs: Range<usize>,
        out: &mut [f32],
        out_width: usize,
    ) {
        let row_bytes = matrix.row_bytes();
        let weights = &matrix.bytes[outputs.start * row_bytes..outputs.end * row_bytes];
        let (width, outputs) = (vectors(matrix.inputs), outputs.len());
        let tiles =
            Tiles { format: matrix.format, weights, row_bytes, x, width, out, out_width, outputs };
        SCRATCH.with_borrow_mut(|scratch| tiles.run(self.unit, scratch));
    }
}

/// How many rows each task takes where threads share out rows.
fn panel(count: usize, threads: usize) -> usize {
    count.div_ceil(threads).next_multiple_of(4).clamp(32, ROWS)
}

/// How many outputs each task takes where threads share out outputs: several tasks for each thread,
/// which may be held up.
fn share(outputs: usize, threads: usize) -> usize {
    if threads == 1 {
        return outputs.max(1);
    }
    outputs.div_ceil(4 * threads).next_multiple_of(4).max(OUTPUTS)
}

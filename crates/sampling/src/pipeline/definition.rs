//! Stages in order, and a selector at the end.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::lint::{Lint, lints};
use crate::data::{PipelineError, Settings};
use crate::selectors::{Draw, Greedy, Selector};
use crate::sequence::Memory;
use crate::stage::Stage;

/// An ordered list of stages and the selector that follows them.
///
/// Shared by any number of sequences: what belongs to one (history, memory, key) is in its
/// [`Sequence`](crate::Sequence). A clone is the same pipeline and costs nothing; one that is then
/// extended is another.
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::draw()
///     .then(Temperature::new(0.8)?)
///     .then(TopK::new(50)?)
///     .then(TopP::new(0.9)?);
/// assert_eq!(pipeline.to_string(), "temperature 0.8 → top_k 50 → top_p 0.9 → draw");
///
/// let mut sampler = Sampler::new(pipeline, 4).seed(7);
/// let token = sampler.next(&[1.0, 3.5, 0.2, 3.1])?;
/// assert!(token == 1 || token == 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Pipeline {
    parts: Arc<Parts>,
}

#[derive(Clone)]
struct Parts {
    stages: Vec<Arc<dyn Stage>>,
    selector: Arc<dyn Selector>,
}

impl Pipeline {
    /// No stages yet, and the best candidate at the end, the lowest id among equals.
    pub fn greedy() -> Self {
        Self::selecting(Greedy::default())
    }

    /// No stages yet, and a draw at the end.
    pub fn draw() -> Self {
        Self::selecting(Draw)
    }

    /// No stages yet, and this selector at the end. One that is chosen at run time may come in a `Box`
    /// or an `Arc`.
    pub fn selecting(selector: impl Selector + 'static) -> Self {
        let parts = Parts { stages: Vec::new(), selector: Arc::new(selector) };
        Self { parts: Arc::new(parts) }
    }

    /// Appends a stage. One that is chosen at run time may come in a `Box` or an `Arc`.
    #[must_use]
    pub fn then(mut self, stage: impl Stage + 'static) -> Self {
        self.push(stage);
        self
    }

    /// As [`then`](Self::then).
    pub fn push(&mut self, stage: impl Stage + 'static) {
        Arc::make_mut(&mut self.parts).stages.push(Arc::new(stage));
    }

    /// Puts a stage before the one at `index`, or at the end.
    ///
    /// # Panics
    ///
    /// When `index` is beyond the number of stages.
    pub fn insert(&mut self, index: usize, stage: impl Stage + 'static) {
        Arc::make_mut(&mut self.parts).stages.insert(index, Arc::new(stage));
    }

    /// The stages in order.
    pub fn stages(&self) -> &[Arc<dyn Stage>] {
        &self.parts.stages
    }

    /// The selector.
    pub fn selector(&self) -> &dyn Selector {
        &*self.parts.selector
    }

    /// The same selector without stages.
    #[must_use]
    pub fn selecting_alone(&self) -> Self {
        let parts = Parts { stages: Vec::new(), selector: Arc::clone(&self.parts.selector) };
        Self { parts: Arc::new(parts) }
    }

    /// Whether `other` is this pipeline or a clone of it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parts, &other.parts)
    }

    /// What is wrong with the pipeline, if it cannot mean what it says.
    pub fn lints(&self) -> Vec<Lint> {
        lints(self.stages(), self.selector())
    }

    /// What the stages and the selector say of their settings.
    ///
    /// # Errors
    ///
    /// [`PipelineError::NotData`] for one that cannot be written down.
    pub fn described(&self) -> Result<(Vec<Settings>, Settings), PipelineError> {
        let not_data = |name: &str| PipelineError::NotData { stage: name.to_string() };
        let stages = self.stages().iter();
        let stages = stages.map(|stage| stage.settings().ok_or_else(|| not_data(stage.name())));
        let selector = self.selector();
        Ok((
            stages.collect::<Result<_, _>>()?,
            selector.settings().ok_or_else(|| not_data(selector.name()))?,
        ))
    }

    /// A fresh memory for a new sequence.
    pub fn new_memory(&self) -> Memory {
        Memory::of(self)
    }
}

impl PartialEq for Pipeline {
    /// A pipeline equals its clones, and one that is made with the same settings where all of it is data,
    /// and none of it hidden.
    fn eq(&self, other: &Self) -> bool {
        let same = || {
            let ((stages, selector), other) = (self.described().ok()?, other.described().ok()?);
            let hides = stages.iter().chain([&selector]).any(|all| all.hidden().is_some());
            Some(!hides && (stages, selector) == other)
        };
        self.is(other) || same() == Some(true)
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("stages", &self.parts.stages)
            .field("selector", &self.parts.selector)
            .finish()
    }
}

impl fmt::Display for Pipeline {
    /// The stages and the selector by name, each with the numbers that it was made with. The whole of it is
    /// in its JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |f: &mut fmt::Formatter<'_>, name: &str, settings: Option<Settings>| {
            f.write_str(name)?;
            settings.map_or(Ok(()), |settings| settings.write_numbers(f))
        };
        for stage in self.stages() {
            show(f, stage.name(), stage.settings())?;
            f.write_str(" → ")?;
        }
        show(f, self.selector().name(), self.selector().settings())
    }
}

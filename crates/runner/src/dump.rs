//! What a model computes of a text on its way to the logits, as a file of tensors.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;

use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, View};
use taper_models::files::{FileError, write_file};
use taper_models::{
    AttentionWeights, HiddenStates, ModelError, Observable, Observe, Observer, Outputs, Want, Work,
};

use crate::error::RequestError;
use crate::run::check_prompt;
use crate::source::Source;

/// Hidden states and attention weights of one text.
///
/// ```
/// # #[cfg(feature = "builtin")] {
/// use taper_runner::Dump;
/// use taper_runner::models::{LoadOptions, Observe, load_builtin};
///
/// let loaded = load_builtin(&LoadOptions::default())?;
/// let dump = Dump::of(&loaded, &[5, 6, 7], Observe { hidden: true, attention: true })?;
/// assert_eq!(dump.hidden_states(0).map(<[f32]>::len), Some(3 * dump.hidden_size()));
/// let (heads, weights) = dump.attention(0).expect("the first layer attends");
/// assert_eq!(weights.len(), heads * 3 * 3);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dump {
    model: String,
    tokens: Vec<u32>,
    observable: Observable,
    /// By index, `[tokens, hidden_size]`.
    hidden: Vec<Vec<f32>>,
    /// By layer, `[heads, tokens, tokens]`.
    attention: BTreeMap<usize, Vec<f32>>,
}

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The model cannot take the text.
    #[error(transparent)]
    Text(#[from] RequestError),
    /// Attention weights were asked for and no layer has any.
    #[error(
        "no layer of this model attends, so that there are no attention weights; leave them out"
    )]
    NoAttention,
    /// The model failed, or shows nothing of itself.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(FileError),
}

impl Dump {
    /// Runs the model over `tokens`, in a state of its own, and keeps what is wanted.
    ///
    /// # Errors
    ///
    /// When the model cannot take the tokens, shows nothing, has no layer that attends though
    /// attention is wanted, or fails.
    pub fn of<'m>(
        source: impl Into<Source<'m>>,
        tokens: &[u32],
        what: Observe,
    ) -> Result<Self, DumpError> {
        let source = source.into();
        check_prompt(tokens, source.model)?;
        let observable = Self::check(source, what)?;
        let hidden_states = if what.hidden { observable.hidden_states() } else { 0 };
        let mut dump = Self {
            model: source.name.to_owned(),
            tokens: tokens.to_vec(),
            hidden: vec![Vec::new(); hidden_states],
            attention: BTreeMap::new(),
            observable,
        };
        let mut state = source.model.new_state();
        let work = [Work { row: state.new_row(), tokens, want: Want::Last }];
        let mut collector = Collector { dump: &mut dump, what };
        source.model.forward_observed(&mut *state, &work, &mut Outputs::new(), &mut collector)?;
        Ok(dump)
    }

    /// What the model shows, if that is all that is wanted: to know it before a long run.
    ///
    /// # Errors
    ///
    /// When the model shows nothing, and when attention is wanted of one without.
    pub fn check<'m>(
        source: impl Into<Source<'m>>,
        what: Observe,
    ) -> Result<Observable, DumpError> {
        let observable = source.into().model.observable().ok_or(ModelError::NotObservable)?;
        if what.attention && observable.attention_heads.iter().all(Option::is_none) {
            return Err(DumpError::NoAttention);
        }
        Ok(observable)
    }

    /// The tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Width of a hidden state.
    pub fn hidden_size(&self) -> usize {
        self.observable.hidden_size
    }

    /// What layer `index` read, `[tokens, hidden_size]`; for the number of layers, what the head did.
    /// In the order of [`HiddenStates::index`]; `None` if there is none or it was not wanted.
    pub fn hidden_states(&self, index: usize) -> Option<&[f32]> {
        self.hidden.get(index).map(Vec::as_slice)
    }

    /// The heads of a layer and their weights, `[heads, tokens, tokens]`: of each token over all, 0
    /// for those that it does not see. `None` if the layer does not attend or they were not wanted.
    pub fn attention(&self, layer: usize) -> Option<(usize, &[f32])> {
        let heads = self.observable.attention_heads.get(layer).copied().flatten()?;
        Some((heads, self.attention.get(&layer)?))
    }

    /// The layers that do not attend.
    pub fn layers_without_attention(&self) -> Vec<usize> {
        let heads = self.observable.attention_heads.iter().enumerate();
        heads.filter(|(_, heads)| heads.is_none()).map(|(layer, _)| layer).collect()
    }

    /// Writes a safetensors file: `tokens`, `hidden_states.I` and `attentions.LAYER`, as
    /// [`hidden_states`](Self::hidden_states) and [`attention`](Self::attention) have them. A layer
    /// that does not attend has no tensor: the file's metadata, JSON under the key `taper`, lists those.
    /// It is written as [`write_file`] does.
    ///
    /// # Errors
    ///
    /// [`DumpError::Write`].
    pub fn save(&self, path: &Path) -> Result<(), DumpError> {
        let about = serde_json::json!({
            "model": self.model,
            "hidden_states": HIDDEN_STATES,
            "layers_without_attention": self.layers_without_attention(),
        });
        // One key, because several would be written in a different order each time.
        let metadata = HashMap::from([("taper".to_owned(), about.to_string())]);
        let written = write_file(path, |sink| write(sink, self.tensors(), metadata));
        written.map(drop).map_err(DumpError::Write)
    }

    fn tensors(&self) -> Vec<(String, Tensor<'_>)> {
        let n = self.tokens.len();
        let mut tensors = vec![("tokens".to_owned(), Tensor::Ids(&self.tokens, vec![n]))];
        for (index, values) in self.hidden.iter().enumerate() {
            let tensor = Tensor::Numbers(values, vec![n, self.hidden_size()]);
            tensors.push((format!("hidden_states.{index}"), tensor));
        }
        for (layer, values) in &self.attention {
            let heads = values.len() / (n * n);
            let tensor = Tensor::Numbers(values, vec![heads, n, n]);
            tensors.push((format!("attentions.{layer}"), tensor));
        }
        tensors
    }
}

/// Writes a safetensors file, one tensor after the other: together they may be as large as the memory.
fn write(
    sink: &mut impl Write,
    mut tensors: Vec<(String, Tensor<'_>)>,
    metadata: HashMap<String, String>,
) -> io::Result<()> {
    // The order of the library: wide types first, so that each begins at a multiple of its size.
    tensors.sort_by(|(a, x), (b, y)| y.dtype().cmp(&x.dtype()).then_with(|| a.cmp(b)));
    let mut end = 0;
    let infos = tensors.iter().map(|(name, tensor)| {
        let start = end;
        end += tensor.data_len();
        let shape = tensor.shape().to_vec();
        let data_offsets = (start, end);
        (name.clone(), TensorInfo { dtype: tensor.dtype(), shape, data_offsets })
    });
    let infos = infos.collect();
    let header = Metadata::new(Some(metadata), infos).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(size_of::<u64>()), b' ');
    sink.write_all(&(header.len() as u64).to_le_bytes())?;
    sink.write_all(&header)?;
    tensors.iter().try_for_each(|(_, tensor)| sink.write_all(&tensor.data()))
}

/// What the file says of its own order.
const HIDDEN_STATES: &str = "hidden_states.I is what layer I reads (0: the embedding, scaled and with its position \
     added where the model does that); the last is what the head reads, behind the last norm: the \
     order of output_hidden_states in Hugging Face transformers";

/// Pieces together what is shown of the one row.
struct Collector<'d> {
    dump: &'d mut Dump,
    what: Observe,
}

impl Observer for Collector<'_> {
    fn wants(&self) -> Observe {
        self.what
    }

    fn hidden(&mut self, states: &HiddenStates<'_>) {
        if let Some(all) = self.dump.hidden.get_mut(states.index) {
            all.extend_from_slice(states.values);
        }
    }

    fn attention(&mut self, weights: &AttentionWeights<'_>) {
        let (n, heads, new) = (self.dump.tokens.len(), weights.heads, weights.tokens());
        let all = self.dump.attention.entry(weights.layer);
        let all = all.or_insert_with(|| vec![0.0; heads * n * n]);
        for (index, values) in weights.values.chunks_exact(weights.keys).enumerate() {
            let (head, query) = (index / new, weights.position + index % new);
            let start = (head * n + query) * n + weights.first_key;
            all[start..start + weights.keys].copy_from_slice(values);
        }
    }
}

/// One tensor of the file, with its shape.
enum Tensor<'a> {
    Ids(&'a [u32], Vec<usize>),
    Numbers(&'a [f32], Vec<usize>),
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        match self {
            Self::Ids(..) => Dtype::U32,
            Self::Numbers(..) => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Ids(_, shape) | Self::Numbers(_, shape) => shape,
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match self {
            Self::Ids(ids, _) => ids.iter().flat_map(|id| id.to_le_bytes()).collect(),
            Self::Numbers(numbers, _) => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        match self {
            Self::Ids(ids, _) => size_of_val(*ids),
            Self::Numbers(numbers, _) => size_of_val(*numbers),
        }
    }
}

//! The tokens so far, with the counts that penalties need.

use alloc::vec::Vec;

/// How often a token occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The token.
    pub id: u32,
    /// Occurrences in the prompt.
    pub prompt: u32,
    /// Occurrences among the generated tokens.
    pub generated: u32,
}

/// Which part of the text a stage looks at.
///
/// ```
/// use taper_sampling::{History, Window};
/// let mut history = History::new(&[5, 7]);
/// history.accept(9);
/// assert_eq!(history.within(Window::ALL), [5, 7, 9]);
/// assert_eq!(history.within(Window::last(2)), [7, 9]);
/// assert_eq!(history.within(Window::GENERATED), [9]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Whether the prompt counts.
    pub prompt: bool,
    /// How many tokens back it reaches, 0 for none; `None` for all of them.
    pub last: Option<usize>,
}

impl Window {
    /// Prompt and generated tokens, as Hugging Face takes it.
    pub const ALL: Self = Self { prompt: true, last: None };
    /// The generated tokens, as vLLM takes it for frequency and presence.
    pub const GENERATED: Self = Self { prompt: false, last: None };

    /// The last `tokens` of prompt and generated tokens, as llama.cpp takes it.
    pub const fn last(tokens: usize) -> Self {
        Self { prompt: true, last: Some(tokens) }
    }
}

/// The tokens of one sequence: the prompt, then what was generated.
///
/// The caller owns it, one per sequence, and tells it of each accepted token. Counts are kept as
/// tokens come, so that a penalty costs what it touches and not the length of the text.
///
/// ```
/// use taper_sampling::History;
/// let mut history = History::new(&[5, 7]);
/// history.accept(5);
/// assert_eq!(history.tokens(), [5, 7, 5]);
/// assert_eq!(history.generated(), [5]);
/// history.truncate_generated(0);
/// assert_eq!(history.tokens(), [5, 7]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    tokens: Vec<u32>,
    prompt_len: usize,
    /// Ascending by id.
    counts: Vec<Count>,
}

impl History {
    /// A sequence that has only its prompt.
    pub fn new(prompt: &[u32]) -> Self {
        let mut history =
            Self { tokens: prompt.to_vec(), prompt_len: prompt.len(), counts: Vec::new() };
        for &id in prompt {
            history.count_mut(id).prompt += 1;
        }
        history
    }

    /// All tokens, the prompt's first.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The prompt.
    pub fn prompt(&self) -> &[u32] {
        &self.tokens[..self.prompt_len]
    }

    /// The tokens after the prompt.
    pub fn generated(&self) -> &[u32] {
        &self.tokens[self.prompt_len..]
    }

    /// The distinct tokens with their counts, ids ascending.
    pub fn counts(&self) -> &[Count] {
        &self.counts
    }

    /// The tokens inside a window, oldest first.
    pub fn within(&self, window: Window) -> &[u32] {
        let text = if window.prompt { &self.tokens } else { self.generated() };
        &text[text.len() - window.last.unwrap_or(text.len()).min(text.len())..]
    }

    /// The distinct tokens inside a window, ids ascending, and how often each occurs there; `words` is
    /// room to count in.
    ///
    /// A window that does not cut the text costs its distinct tokens; one that does is sorted.
    pub(crate) fn tally<'w>(
        &self,
        window: Window,
        words: &'w mut Vec<u64>,
    ) -> impl Iterator<Item = (u32, u32)> + 'w {
        words.clear();
        let seen = self.within(window);
        let whole = if window.prompt { self.tokens.len() } else { self.generated().len() };
        if seen.len() == whole {
            words.extend(self.counts.iter().filter_map(|count| {
                let times = if window.prompt { count.prompt } else { 0 } + count.generated;
                (times > 0).then_some(u64::from(count.id) << 32 | u64::from(times))
            }));
        } else {
            words.extend(seen.iter().map(|&id| u64::from(id) << 32 | 1));
            words.sort_unstable();
            // Of each run the first takes up the counts of the others.
            words.dedup_by(|other, first| {
                let same = *other >> 32 == *first >> 32;
                *first += u64::from(same);
                same
            });
        }
        words.iter().map(|&word| ((word >> 32) as u32, word as u32))
    }

    /// Appends a generated token.
    pub fn accept(&mut self, id: u32) {
        self.tokens.push(id);
        self.count_mut(id).generated += 1;
    }

    /// Forgets generated tokens until `len` are left; the counts are as if they had never come.
    /// Nothing happens when fewer were generated.
    pub fn truncate_generated(&mut self, len: usize) {
        while self.generated().len() > len
            && let Some(id) = self.tokens.pop()
        {
            self.count_mut(id).generated -= 1;
            if let Ok(at) = self.find(id)
                && self.counts[at].prompt + self.counts[at].generated == 0
            {
                self.counts.remove(at);
            }
        }
    }

    fn find(&self, id: u32) -> Result<usize, usize> {
        self.counts.binary_search_by_key(&id, |count| count.id)
    }

    fn count_mut(&mut self, id: u32) -> &mut Count {
        let at = match self.find(id) {
            Ok(at) => at,
            Err(at) => {
                self.counts.insert(at, Count { id, prompt: 0, generated: 0 });
                at
            }
        };
        &mut self.counts[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_tallied_like_the_text_it_shows() {
        let mut history = History::new(&[3, 1, 3]);
        for id in [9, 1, 9] {
            history.accept(id);
        }
        let tally = |window| {
            let mut words = Vec::new();
            history.tally(window, &mut words).collect::<Vec<_>>()
        };
        assert_eq!(tally(Window::ALL), [(1, 2), (3, 2), (9, 2)]);
        assert_eq!(tally(Window::GENERATED), [(1, 1), (9, 2)]);
        assert_eq!(tally(Window::last(4)), [(1, 1), (3, 1), (9, 2)]);
        assert_eq!(tally(Window::last(6)), tally(Window::ALL));
        assert_eq!(tally(Window { prompt: false, last: Some(1) }), [(9, 1)]);
        assert_eq!(tally(Window::last(0)), []);
    }

    #[test]
    fn rolling_back_restores_the_counts() {
        let mut history = History::new(&[3, 1, 3]);
        let before = history.clone();
        for id in [9, 1, 9, 0] {
            history.accept(id);
        }
        assert_eq!(history.counts()[0], Count { id: 0, prompt: 0, generated: 1 });
        assert_eq!(history.counts()[1], Count { id: 1, prompt: 1, generated: 1 });
        history.truncate_generated(0);
        assert_eq!(history, before);
    }
}

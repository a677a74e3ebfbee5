//! Which tokens are scored after which.

/// A part of the text that the model sees at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// The first token that the model sees.
    pub(super) begin: usize,
    /// The first token whose logits are looked at: the one ahead of the first that is scored.
    pub(super) first: usize,
    /// Behind the last token that is scored.
    pub(super) end: usize,
}

/// The windows of a text of `tokens` tokens, each at most `window` long and `stride` behind the last.
pub(super) fn windows(tokens: usize, window: usize, stride: usize) -> Vec<Window> {
    let (mut windows, mut begin, mut scored) = (Vec::new(), 0_usize, 0_usize);
    loop {
        let end = tokens.min(begin + window);
        // Nothing stands before the first token of a window that could foretell it.
        windows.push(Window { begin, first: scored.saturating_sub(1).max(begin), end });
        if end == tokens {
            return windows;
        }
        (begin, scored) = (begin + stride, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(tokens: usize, window: usize, stride: usize) -> Vec<(usize, usize, usize)> {
        let all = windows(tokens, window, stride).into_iter();
        all.map(|w| (w.begin, w.first, w.end)).collect()
    }

    #[test]
    fn a_short_text_has_one_window() {
        assert_eq!(all(2, 8, 4), [(0, 0, 2)]);
        assert_eq!(all(8, 8, 4), [(0, 0, 8)]);
    }

    #[test]
    fn windows_score_what_no_earlier_one_has() {
        assert_eq!(all(15, 8, 4), [(0, 0, 8), (4, 7, 12), (8, 11, 15)]);
        assert_eq!(all(10, 8, 1), [(0, 0, 8), (1, 7, 9), (2, 8, 10)]);
    }

    /// Apart from one another, windows leave their first tokens unscored, as in the guide.
    #[test]
    fn a_stride_of_the_window_parts_them() {
        assert_eq!(all(10, 4, 4), [(0, 0, 4), (4, 4, 8), (8, 8, 10)]);
        assert_eq!(all(5, 4, 4), [(0, 0, 4), (4, 4, 5)]);
    }
}

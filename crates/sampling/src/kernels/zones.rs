//! Parts of an order of the values, as tests that a pass over a row can make lane by lane.

/// What values are ordered by. Copied into every pass: read through a reference, what it goes by
/// would be loaded again for each value, and the pass would not be vector code.
pub(crate) trait Key: Copy {
    /// Whether the key is the value, so that none has to be computed.
    const IS_VALUE: bool;
    /// Whether zones are told by value, so that a pass over a row computes no keys.
    const BY_VALUE: bool;
    /// A part of the order from its first on.
    type Zone: Zone;

    /// Larger keys come first, and of equal keys the larger value. −∞ for a banned value.
    fn key(self, value: f32) -> f32;
    /// What has at least this key; nothing for NaN.
    fn zone(self, key: f32) -> Self::Zone;
}

/// A part of an order, as a test of keys or of values.
pub(crate) trait Zone: Copy {
    fn holds(self, x: f32) -> bool;
    /// Whether it holds nothing up to `max`.
    fn is_above(self, max: f32) -> bool;
}

/// Everything from a floor up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor(pub(crate) f32);

impl Zone for Floor {
    #[inline(always)]
    fn holds(self, x: f32) -> bool {
        x >= self.0
    }

    fn is_above(self, max: f32) -> bool {
        max < self.0
    }
}

/// Everything between two numbers, both included; nothing if one is NaN.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Band {
    pub(crate) low: f32,
    pub(crate) high: f32,
}

impl Band {
    pub(crate) const ALL: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };
    pub(crate) const NOTHING: Self = Self { low: f32::NAN, high: f32::NAN };
}

impl Zone for Band {
    #[inline(always)]
    fn holds(self, x: f32) -> bool {
        x >= self.low && x <= self.high
    }

    fn is_above(self, max: f32) -> bool {
        max < self.low
    }
}

/// What an order is divided into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zones<Z> {
    pub(crate) inside: Z,
    /// Holds what is inside, too; only the others are on the fringe.
    pub(crate) fringe: Z,
}

//! Floats as integers in the same order, and the halving that this allows.

/// An integer that orders as the float does, with −0.0 and +0.0 alike. NaN has no place here.
#[inline(always)]
pub(crate) fn key(x: f32) -> u32 {
    // Adding +0.0 turns −0.0 into +0.0 and changes nothing else.
    let bits = (x + 0.0).to_bits();
    let mask = ((bits as i32) >> 31) as u32 | 0x8000_0000;
    bits ^ mask
}

pub(crate) fn value_of(key: u32) -> f32 {
    let bits = if key & 0x8000_0000 == 0 { !key } else { key & 0x7fff_ffff };
    f32::from_bits(bits)
}

/// The lowest value that passes `test`, a test that holds from some value upwards and of +∞.
pub(crate) fn first_value(test: impl Fn(f32) -> bool) -> f32 {
    let (mut low, mut high) = (key(f32::NEG_INFINITY), key(f32::INFINITY));
    while low < high {
        let middle = low + (high - low) / 2;
        if test(value_of(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    value_of(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_orders_as_the_float_and_joins_the_zeros() {
        let values = [f32::NEG_INFINITY, -1e30, -1.0, -1e-40, 0.0, 1e-40, 1.0, 1e30, f32::INFINITY];
        assert!(values.windows(2).all(|w| key(w[0]) < key(w[1])));
        assert!(values.iter().all(|&v| value_of(key(v)) == v));
        assert_eq!(key(0.0), key(-0.0));
    }
}

"""The golden numbers of src/draws.rs, from ChaCha12 written out after RFC 8439 (with 64-bit
counter and nonce, as in Bernstein's original). Run: python3 draws.py"""
import struct

MASK = 0xFFFFFFFF


def quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & MASK
        v = s[z] ^ s[x]
        s[z] = (v << n | v >> (32 - n)) & MASK


def block(key, counter, nonce):
    start = list(struct.unpack("<4I", b"expand 32-byte k")) + list(struct.unpack("<8I", key))
    start += [counter & MASK, counter >> 32, nonce & MASK, nonce >> 32]
    s = start[:]
    for _ in range(6):
        for i in range(4):
            quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return [(a + b) & MASK for a, b in zip(s, start)]


def bits(seed, stream, step, purpose, index):
    words = block(struct.pack("<4Q", seed, stream, purpose, 0), 2 * index // 16, step)
    low = 2 * index % 16
    return words[low] | words[low + 1] << 32


if __name__ == "__main__":
    print("select, index 0:", bits(42, 1, 5, 1, 0))
    print("gumbel, index 128000:", bits(42, 1, 5, 4, 128_000))
    print("custom 9, index 3:", bits(42, 1, 5, 1 << 32 | 9, 3))

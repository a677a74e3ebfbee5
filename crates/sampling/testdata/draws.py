"""The golden numbers of src/sequence/draws.rs and the golden tokens of tests/cuts.rs, from ChaCha12 written out after RFC 8439 (with 64-bit
counter and nonce, as in Bernstein's original). Run: python3 draws.py"""
import math
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


def bits(seed, stream, step, purpose, index, attempt=0):
    words = block(struct.pack("<4Q", seed, stream, purpose, attempt), 2 * index // 16, step)
    low = 2 * index % 16
    return words[low] | words[low + 1] << 32


def tokens(choose):
    """Six steps over one row of 50 scores."""
    row = [(i * 37 % 50) * 0.1 for i in range(50)]
    return [choose(row, step) for step in range(6)]


def pick(scores, step):
    """The inverse CDF, ids ascending; `scores` maps ids to scores."""
    u = (bits(42, 0, step, 1, 0) >> 11) / 2**53
    odds = {i: math.exp(scores[i]) for i in sorted(scores)}
    left = u * sum(odds.values())
    for i, own in odds.items():
        if left < own:
            return i
        left -= own


def best(row, k):
    return dict(sorted(enumerate(row), key=lambda item: -item[1])[:k])


def probabilities(row):
    total = sum(map(math.exp, row))
    return [math.exp(x) / total for x in row]


def draw(row, step):
    return pick(dict(enumerate(row)), step)


def gumbel(row, step):
    def noisy(i):
        k = bits(42, 0, step, 4, i) >> 11
        return row[i] - math.log(-math.log((2 * k + 1) / 2**54))

    return max(range(len(row)), key=noisy)


def mirostat(row, step, tau=2.7):
    p = sorted(probabilities(row), reverse=True)
    t = [math.log((i + 2) / (i + 1)) for i in range(len(p) - 1)]
    b = [math.log(p[i] / p[i + 1]) for i in range(len(p) - 1)]
    s = sum(x * y for x, y in zip(t, b)) / sum(x * x for x in t)
    k = ((s - 1) * 2 ** (2 * tau) / (1 - len(p) ** (1 - s))) ** (1 / s)
    return pick(best(row, max(1, int(k))), step)


def mirostat_v2(row, step, tau=2.0):
    kept = sum(-math.log2(p) <= 2 * tau for p in probabilities(row))
    return pick(best(row, max(1, kept)), step)


def adaptive_p(row, step, target=0.05):
    d = [abs(p - target) / 0.3 for p in probabilities(row)]
    return pick({i: -10 * x * x / (1 + x) for i, x in enumerate(d)}, step)


if __name__ == "__main__":
    print("select, index 0:", bits(42, 1, 5, 1, 0))
    print("gumbel, index 128000:", bits(42, 1, 5, 4, 128_000))
    print("custom 9, index 3:", bits(42, 1, 5, 1 << 32 | 9, 3))
    print("select, index 0, attempt 2:", bits(42, 1, 5, 1, 0, 2))
    for choose in (draw, gumbel, mirostat, mirostat_v2, adaptive_p):
        print(choose.__name__, tokens(choose))

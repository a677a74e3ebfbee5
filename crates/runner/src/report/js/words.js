// What differs between two texts, by words.

const wordsOf = (text) => text.match(/\s*\S+|\s+$/g) ?? [];

// Longer texts are compared up to here; a table of the square of it is made.
const MOST_WORDS = 1500;

// A list of [what, text]: 0 in both, 1 only in the new text, -1 only in the old one.
function difference(before, after) {
  const [a, b] = [wordsOf(before).slice(0, MOST_WORDS), wordsOf(after)];
  const rest = b.splice(MOST_WORDS);
  let start = 0;
  while (start < a.length && start < b.length && a[start].trim() === b[start].trim()) start += 1;
  let [m, n] = [a.length - start, b.length - start];
  while (m > 0 && n > 0 && a[start + m - 1].trim() === b[start + n - 1].trim()) { m -= 1; n -= 1; }
  // common[i][j]: words that the rests from i and j have in common, in order.
  const common = Array.from({ length: m + 1 }, () => new Uint16Array(n + 1));
  const same = (i, j) => a[start + i].trim() === b[start + j].trim();
  for (let i = m - 1; i >= 0; i -= 1) {
    for (let j = n - 1; j >= 0; j -= 1) {
      common[i][j] = same(i, j) ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const parts = [];
  const add = (what, text) => {
    const last = parts[parts.length - 1];
    if (last && last[0] === what) last[1] += text; else parts.push([what, text]);
  };
  b.slice(0, start).forEach((word) => add(0, word));
  let [i, j] = [0, 0];
  while (i < m || j < n) {
    if (i < m && j < n && same(i, j)) { add(0, b[start + j]); i += 1; j += 1; }
    else if (j < n && (i === m || common[i][j + 1] >= common[i + 1][j])) { add(1, b[start + j]); j += 1; }
    else { add(-1, a[start + i]); i += 1; }
  }
  b.slice(start + n).forEach((word) => add(0, word));
  rest.forEach((word) => add(1, word));
  return parts;
}

// The new text with its own words marked, and the old one's in their places if asked for. Where more
// than half is new, marks would be everywhere: the first new word is marked alone.
function marked(before, after, withGone) {
  const parts = difference(before, after);
  const added = parts.filter(([what]) => what === 1).reduce((sum, [, text]) => sum + text.length, 0);
  if (2 * added > after.length && !withGone) {
    const start = parts[0][0] === 0 ? parts[0][1].length : 0;
    const [first] = wordsOf(after.slice(start));
    return [after.slice(0, start), h('ins', {}, first), after.slice(start + first.length)];
  }
  return parts.map(([what, text]) => {
    if (what === 0) return text;
    if (what === 1) return h('ins', {}, text);
    return withGone ? h('del', {}, text) : null;
  });
}

// Questions to the server. All paths are relative: the token is in the page's own address.

/** This tab's name, and the number of its latest question. */
const tab = crypto.randomUUID();
let turn = 0;

export async function ask(question, body) {
  const answer = await fetch(`api/${question}`, {
    method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
  }).catch(() => { throw new Error("the explorer does not answer: has it been ended?"); });
  const said = await answer.json().catch(() => ({ error: "the explorer's answer was cut off" }));
  if (said.error) throw new Error(said.error);
  return said;
}

/** A question about a place that the next one of this tab overtakes. */
export function askAt(question, place, more = {}) {
  turn += 1;
  return ask(question, { place: { ...place, tab, turn }, ...more });
}

/** A run from a place: `each` is called with every token as it comes. */
export async function run(place, count, each, signal) {
  const answer = await fetch("api/run", {
    method: "POST", body: JSON.stringify({ place, count }), headers: { "Content-Type": "application/json" }, signal,
  });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const said = JSON.parse(line);
      if (said.error) throw new Error(said.error);
      each(said);
    }
  }
}

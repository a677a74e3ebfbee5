// Five lessons. Each sets the page up, and says in two sentences what to try and what to see.

import { $, h } from "./dom.js";

export const LESSONS = [
  { title: "Temperature", prompt: "The old lighthouse", a: { do_sample: true, temperature: 1, top_k: 0 }, b: { do_sample: true, temperature: 0.5, top_k: 0 },
    try: "Move A's temperature from 0.2 to 2 and watch the filled bars against the outlines.",
    see: "The order of the tokens never changes: below 1 the best ones grow at the cost of all others, above 1 the bars even out." },
  { title: "Top-k against top-p", prompt: "Once upon a time", a: { do_sample: true, temperature: 1, top_k: 20 }, b: { do_sample: true, temperature: 1, top_k: 0, top_p: 0.9 },
    try: "Take the chosen token a few times and compare how many tokens A and B keep at each step.",
    see: "Top-k keeps the same number where the model is sure and where it is not; top-p keeps few in the first case and many in the second." },
  { title: "The tie that is not greedy", prompt: "The old lighthouse", a: { do_sample: true, top_k: 1, logits_dtype: "bf16" }, b: { do_sample: false, logits_dtype: "bf16" },
    try: "Run to the end under a few seeds, and look at the steps where a stage says that tokens are tied at the cut.",
    see: "Two logits that round to the same bf16 number both survive top_k 1, and the seed decides between them; greedy (B) takes the lower id each time." },
  { title: "Penalties and loops", prompt: "The ship and the ship and the ship and the", a: { do_sample: false, repetition_penalty: 1 }, b: { do_sample: false, repetition_penalty: 1.3 },
    try: "Run A to the end, go back to the prompt, set A's repetition_penalty to 1.3 and run again.",
    see: "The arrows show how far the penalty pushes each token that the text has already; a loop breaks where the push is larger than the lead." },
  { title: "Beams and their curse", prompt: "Once upon a time", a: { do_sample: false, max_new_tokens: 24 }, b: null, beams: 8,
    try: "Search with 2, 4 and 8 beams from here, and read the texts beside the greedy one.",
    see: "More beams find a likelier text, and the likelier text is often the shorter or the duller one." },
];

export function showLessons(begin) {
  $("lessons").replaceChildren(h("span", { className: "soft" }, "Lessons:"), ...LESSONS.map((lesson, i) => {
    const button = h("button", { type: "button" }, `${i + 1} ${lesson.title}`);
    button.onclick = () => begin(lesson);
    return button;
  }));
}

export function showLesson(lesson) {
  const section = $("lesson");
  section.hidden = !lesson;
  if (!lesson) return;
  const close = h("button", { type: "button" }, "Close the lesson");
  close.onclick = () => { section.hidden = true; };
  section.replaceChildren(h("h2", {}, lesson.title), h("p", {}, h("b", {}, "Try: "), lesson.try), h("p", {}, h("b", {}, "See: "), lesson.see), close);
}

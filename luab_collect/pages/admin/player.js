// Plays a page of work: a canvas, buttons, a slider, and what happens in words.

import { h } from "/static/dom.js";
import { draw } from "./drawing.js";
import { said, stateAt } from "./replay.js";
import { seconds } from "./words.js";

const SPEEDS = [0.5, 1, 2, 4, 10];
const KEYS = { ArrowRight: 1000, ArrowLeft: -1000, PageDown: 10000, PageUp: -10000 }; // ms
const WIDTH = 1280; // pixels of the canvas

/** The player of a page of work, as GET /admin/api/work/ID gives it. */
export function player(work) {
  const end = work.events.length ? work.events[work.events.length - 1].t : 0;
  const names = new Map(work.items.map((item) => [item.id, item.file]));
  const view = { all: true, gold: new Map(), only: work.items.length === 1 ? work.items[0].id : null };
  const images = new Map();
  // Moves are too many to step through.
  const steps = work.events.filter(({ kind }) => kind !== "move" && kind !== "drag").map(({ t }) => t);
  let [now, speed, playing, last] = [0, 1, false, 0];

  const canvas = h("canvas", { class: "screen", role: "img", "aria-label": "The page of work at this moment" });
  const words = h("p", { class: "said", id: "said" });
  const button = h("button", { type: "button", class: "primary", on_click: () => (playing ? pause() : play()) }, "Play");
  const slider = h("input", { type: "range", id: "time", min: 0, max: Math.ceil(end), step: 1, value: 0 });
  slider.addEventListener("input", () => go(Number(slider.value)));
  slider.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    go(now + KEYS[event.key]);
  });
  const speeds = h("select", { id: "speed" },
    SPEEDS.map((each) => h("option", { value: each, selected: each === 1 }, `${each} ×`)));
  speeds.addEventListener("change", () => (speed = Number(speeds.value)));

  function check(id, text, checked, change) {
    const box = h("input", { type: "checkbox", id, checked });
    box.addEventListener("change", () => {
      change(box.checked);
      paint();
    });
    return h("label", { class: "check", for: id }, box, text);
  }

  function paint() {
    const state = stateAt(work.events, now);
    if (state.layout) {
      const height = Math.max(1, Math.round((WIDTH * state.layout.height) / state.layout.width));
      if (canvas.width !== WIDTH || canvas.height !== height) Object.assign(canvas, { width: WIDTH, height });
    }
    draw(canvas, state, images, view);
    slider.value = now;
    slider.setAttribute("aria-valuetext", seconds(now));
    words.textContent = said(state.last, names);
  }

  function go(t) {
    now = Math.min(Math.max(0, t), end);
    paint();
  }

  function step(forward) {
    pause();
    go(forward ? (steps.find((t) => t > now) ?? end) : (steps.filter((t) => t < now).pop() ?? 0));
  }

  function play() {
    if (now >= end) now = 0;
    [playing, last, button.textContent] = [true, performance.now(), "Pause"];
    requestAnimationFrame(frame);
  }

  function pause() {
    [playing, button.textContent] = [false, "Play"];
  }

  function frame(at) {
    if (!playing || !canvas.isConnected) return;
    go(now + Math.max(0, at - last) * speed);
    last = at;
    if (now >= end) pause();
    else requestAnimationFrame(frame);
  }

  for (const item of work.items) {
    const image = new Image();
    image.addEventListener("load", () => {
      images.set(item.id, image);
      if (!playing) paint();
    });
    image.src = item.url;
  }
  go(end); // first what came of it; Play begins at the beginning
  return h("section", { "aria-labelledby": "replay-title" },
    h("h2", { id: "replay-title" }, "Replay"),
    canvas,
    words,
    h("div", { class: "controls" },
      button,
      h("button", { type: "button", on_click: () => step(false) }, "Event before"),
      h("button", { type: "button", on_click: () => step(true) }, "Next event"),
      h("label", { class: "time", for: "time" }, "Time", slider),
      h("label", { for: "speed" }, "Speed ", speeds),
      check("all", "The whole trace", true, (on) => (view.all = on)),
      check("gold", "What is known", false, (on) => (view.gold = on ? goldBoxes(work) : new Map()))));
}

function goldBoxes(work) {
  return new Map(work.items.map(({ id, gold }) => {
    const classes = work.class_name === null ? Object.keys(gold ?? {}) : [work.class_name];
    return [id, classes.flatMap((name) => gold?.[name] ?? [])];
  }));
}

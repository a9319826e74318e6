// A page of work as it was at any moment, from its events. Nothing here needs a document.

/** The state of the page after all events up to `t`. Positions are ratios of images; boxes are CSS pixels. */
export function stateAt(events, t) {
  const state = {
    layout: null, // the last `layout` event
    pointer: null, // {cx, cy, kind}
    trail: [], // {item, x, y, t, held}; null: the line is interrupted
    clicks: [], // {item, x, y, t, on}
    selected: new Set(),
    icons: new Map(), // number -> {label, x, y}
    category: 0,
    hidden: false,
    missing: new Set(), // images that had failed to load: she saw a blank
    last: null,
  };
  for (const event of events) {
    if (event.t > t) break;
    CHANGES[event.kind]?.(state, event);
    if (event.cx !== undefined) state.pointer = { cx: event.cx, cy: event.cy, kind: event.pointer };
    state.last = event;
  }
  return state;
}

function trace(state, event, held = false) {
  state.trail.push({ item: event.item ?? null, x: event.x, y: event.y, t: event.t, held });
}

function lift(state, event) {
  state.icons.set(event.icon, { label: event.label, x: event.x, y: event.y });
  trace(state, event, true);
}

function drop(state, event) {
  lift(state, event);
  state.clicks.push({ item: null, x: event.x, y: event.y, t: event.t, on: true });
  state.trail.push(null);
}

function click(state, event, on) {
  // A keyboard selects an image and no place in it.
  if (event.pointer !== "keyboard") state.clicks.push({ item: event.item, x: event.x, y: event.y, t: event.t, on });
}

const CHANGES = {
  layout: (state, event) => (state.layout = event),
  loaded: (state, event) => state.missing.delete(event.item),
  missing: (state, event) => state.missing.add(event.item),
  enter: (state, event) => {
    state.trail.push(null);
    trace(state, event);
  },
  move: (state, event) => trace(state, event),
  leave: (state, event) => trace(state, event),
  select: (state, event) => {
    state.selected.add(event.item);
    click(state, event, true);
  },
  deselect: (state, event) => {
    state.selected.delete(event.item);
    click(state, event, false);
  },
  pick: (state, event) => {
    state.trail.push(null);
    lift(state, event);
  },
  drag: lift,
  add: drop,
  relocate: drop,
  remove: (state, event) => state.icons.delete(event.icon),
  category: (state, event) => (state.category = event.category),
  hidden: (state) => (state.hidden = true),
  visible: (state) => (state.hidden = false),
};

/** What an event was, in words; `names`: item -> file. */
export function said(event, names) {
  if (!event) return "";
  const what = names.get(event.item) ?? event.label ?? "";
  return `${(event.t / 1000).toFixed(1)} s: ${event.kind}${what ? ` ${what}` : ""}`;
}

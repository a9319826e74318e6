// What a page of work looks like after its events: for a reload, another tab, another computer. Pure.

/** Events of all epochs in the order in which they happened. */
export function ordered(events) {
  return [...events].sort((a, b) => a.epoch - b.epoch || a.seq - b.seq);
}

/** {selected: Set of items, icons: Map icon -> {label, x, y}, nextIcon, seen: Set of categories, category}. */
export function restored(events) {
  const state = { selected: new Set(), icons: new Map(), nextIcon: 1, seen: new Set(), category: 0 };
  for (const event of ordered(events)) {
    if (event.kind === "select") state.selected.add(event.item);
    else if (event.kind === "deselect") state.selected.delete(event.item);
    else if (event.kind === "add" || event.kind === "relocate") {
      state.icons.set(event.icon, { label: event.label, x: event.x, y: event.y });
    } else if (event.kind === "remove") state.icons.delete(event.icon);
    else if (event.kind === "category") {
      state.seen.add(event.category);
      state.category = event.category;
    }
    if (event.icon !== undefined) state.nextIcon = Math.max(state.nextIcon, event.icon + 1);
  }
  return state;
}

/** {epoch, seq} of a submission that has no answer yet: the last event of all is a `submit`. */
export function unansweredSubmit(events) {
  const last = ordered(events).at(-1);
  return last?.kind === "submit" ? { epoch: last.epoch, seq: last.seq } : null;
}

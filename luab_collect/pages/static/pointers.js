// Pointer Events over the images -> enter, leave and move events, with the samples that the browser coalesced.

const KNOWN = new Set(["mouse", "touch", "pen"]);

export function pointerOf(event) {
  return KNOWN.has(event.pointerType) ? event.pointerType : "mouse";
}

let last = "keyboard";
for (const [name, pointer] of [["pointerdown", pointerOf], ["keydown", () => "keyboard"]]) {
  window.addEventListener(name, (event) => (last = pointer(event)), { capture: true });
}

/** What the annotator used last: for what happens by itself. */
export function usedLast() {
  return last;
}

/** Samples of a move, oldest first. Without a secure context browsers have no coalesced ones. */
export function samplesOf(event) {
  const samples = event.getCoalescedEvents?.() ?? [];
  return samples.length ? samples : [event];
}

/** Whether a `click` came from the keyboard or a screen reader. */
export function byKeyboard(event) {
  return event.detail === 0 && !KNOWN.has(event.pointerType);
}

export class Pointers {
  /** Watches `area`. `itemOf(node)`: the item whose image a node shows, or null. `busy()`: a drag records itself. */
  constructor({ log, layouts, area, itemOf, busy = () => false }) {
    Object.assign(this, { log, layouts, itemOf, busy });
    this.over = null;
    this.up = null;
    this.stop = new AbortController();
    const on = (name, listener) => area.addEventListener(name, listener, { signal: this.stop.signal });
    on("pointerover", (event) => event.isPrimary && this.#hover(this.itemOf(event.target), event));
    on("pointerleave", (event) => event.isPrimary && this.#hover(null, event));
    on("pointercancel", (event) => event.isPrimary && this.#hover(null, event));
    on("pointermove", (event) => event.isPrimary && this.#move(event));
    on("pointerup", (event) => (this.up = event));
  }

  close() {
    this.stop.abort();
  }

  /** Fields of an event at a pointer's position. */
  fields(item, sample, event = sample) {
    return {
      ...this.layouts.position(item, sample.clientX, sample.clientY, sample.timeStamp),
      pointer: pointerOf(event),
      trusted: event.isTrusted,
    };
  }

  /** Fields of a click. Its own position is rounded in some browsers: the pointer's that made it is not. */
  clickFields(item, event) {
    if (byKeyboard(event)) return this.keyFields(item, 0.5, 0.5, event);
    const { up } = this;
    const near =
      up && Math.abs(up.clientX - event.clientX) <= 1.5 && Math.abs(up.clientY - event.clientY) <= 1.5;
    return { ...this.fields(item, near ? up : event), pointer: pointerOf(event), trusted: event.isTrusted };
  }

  /** Fields of a key at a position that is known as ratios. */
  keyFields(item, x, y, event) {
    return { ...this.layouts.placed(item, x, y, event.timeStamp), pointer: "keyboard", trusted: event.isTrusted };
  }

  #hover(item, event) {
    if (item === this.over) return;
    if (this.over !== null) this.log.add("leave", { item: this.over, ...this.fields(this.over, event) }, event.timeStamp);
    if (item !== null) this.log.add("enter", { item, ...this.fields(item, event) }, event.timeStamp);
    this.over = item;
  }

  #move(event) {
    if (this.over === null || this.busy()) return;
    for (const sample of samplesOf(event)) {
      const fields = this.fields(this.over, sample, event);
      this.log.add("move", { item: this.over, ...fields }, sample.timeStamp);
    }
  }
}

// The icon in somebody's hand: dragged, carried after a click or tap, or moved by arrow keys. Its whole path is
// events. Native drag and drop is not used: browsers send no positions during it.

import { inside } from "./geometry.js";
import { byKeyboard, pointerOf, samplesOf } from "./pointers.js";

const TAP = 6; // CSS pixels; a press that moves less is a click
const STEP = 0.01; // of the image, an arrow key; ten times with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Hold {
  /** `canvas`: see canvas.js. `dropped(held, place, origin)`, `changed(held)`; `nextIcon`: the next new icon's number. */
  constructor({ log, canvas, nextIcon, dropped, changed }) {
    Object.assign(this, { log, canvas, nextIcon, dropped, changed });
    this.held = null;
    this.cursor = [0.5, 0.5];
    this.stop = new AbortController();
    const options = { signal: this.stop.signal };
    window.addEventListener("pointermove", (event) => event.isPrimary && this.#move(event), options);
    window.addEventListener("pointerup", (event) => event.isPrimary && this.#up(event), options);
    window.addEventListener("pointercancel", (event) => event.isPrimary && this.#lost(event), options);
    window.addEventListener("keydown", (event) => this.#key(event), options);
  }

  close() {
    this.stop.abort();
  }

  /** Takes up a label (`icon` null) or a placed icon, by a pointer or the keyboard. */
  async grab({ label, icon = null, place = null }, event, source) {
    const again = this.held?.mode !== "drag" && this.held?.label === label && this.held.icon === (icon ?? this.held.icon);
    const toggled = again && this.held.fresh === (icon === null);
    if (this.held) this.cancel(event);
    if (toggled) return;
    const keys = byKeyboard(event) && event.type === "click";
    const fresh = icon === null;
    const held = { label, icon: icon ?? this.nextIcon, fresh, source, origin: place, mode: keys ? "keys" : "drag" };
    if (fresh) this.nextIcon += 1;
    this.held = held;
    if (keys) this.cursor = place ? [place.x, place.y] : [0.5, 0.5];
    else this.#press(held, event, source);
    await this.#record("pick", event);
    if (this.held === held) this.#changed();
  }

  /** Puts back what is held: nothing has changed. */
  cancel(event) {
    return this.held ? this.#end("cancel", event) : Promise.resolve();
  }

  /** Takes the held icon off the image. */
  remove(event) {
    if (this.held) return this.#end(this.held.fresh ? "cancel" : "remove", event);
    return Promise.resolve();
  }

  #press(held, event, source) {
    held.pointer = event.pointerId;
    held.start = [event.clientX, event.clientY];
    held.at = held.start;
    event.preventDefault(); // no text selection, no native drag
    if (event.type === "pointerdown") source.focus({ preventScroll: true });
    // Touches are captured by their first target; the window hears of all, so nothing is to be captured.
    if (source.hasPointerCapture?.(event.pointerId)) source.releasePointerCapture(event.pointerId);
  }

  #move(event) {
    const { held } = this;
    if (!held || held.mode === "keys") return;
    if (held.mode === "drag" && event.pointerId !== held.pointer) return;
    held.at = [event.clientX, event.clientY];
    if (held.mode === "drag" && apart(held.at, held.start) > TAP) held.moved = true;
    for (const sample of samplesOf(event)) this.#sample(sample, event);
    this.canvas.ghost(held, held.at, pointerOf(event));
  }

  #sample(sample, event) {
    const { icon, label } = this.held;
    const position = this.canvas.position(sample.clientX, sample.clientY, sample.timeStamp);
    const pointer = { pointer: pointerOf(event), trusted: event.isTrusted };
    this.log.add("drag", { icon, label, ...position, ...pointer }, sample.timeStamp);
  }

  #up(event) {
    const { held } = this;
    if (!held || held.mode === "keys" || event.button > 0) return;
    const carried = held.mode === "carry";
    if (!carried && event.pointerId !== held.pointer) return;
    held.at = [event.clientX, event.clientY];
    if (!carried && !held.moved) {
      held.mode = "carry"; // a click or tap: the next one on the image places it
      this.#changed();
    } else if (inside(this.canvas.ratios(...held.at)) && (!carried || this.canvas.contains(event.target))) {
      this.#drop(event);
    } else if (!carried) {
      this.remove(event);
    }
  }

  #lost(event) {
    if (this.held?.mode === "drag" && event.pointerId === this.held.pointer) this.cancel(event);
  }

  #key(event) {
    const { held } = this;
    if (!held || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") this.#handled(event, () => this.cancel(event));
    else if (event.key === "Delete" || event.key === "Backspace") this.#handled(event, () => this.remove(event));
    else if (held.mode !== "keys" || !this.canvas.contains(event.target)) return;
    else if ((event.key === "Enter" || event.key === " ") && !event.repeat) this.#handled(event, () => this.#drop(event));
    else if (event.key in ARROWS) this.#handled(event, () => this.#step(event));
  }

  #handled(event, act) {
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  #step(event) {
    const step = STEP * (event.shiftKey ? 10 : 1);
    const { icon, label } = this.held;
    this.cursor = this.cursor.map((each, axis) => Math.min(1, Math.max(0, each + ARROWS[event.key][axis] * step)));
    this.log.add("drag", { icon, label, ...this.#fields(event) }, event.timeStamp);
    this.canvas.crosshair(this.held, this.cursor);
  }

  async #drop(event) {
    const { held } = this;
    this.held = null;
    const kind = held.fresh ? "add" : "relocate";
    const place = await this.#record(kind, event, held);
    this.dropped(held, { x: place.x, y: place.y }, event);
    this.#changed();
  }

  async #end(kind, event) {
    const { held } = this;
    this.held = null;
    await this.#record(kind, event, held);
    this.dropped(held, kind === "remove" ? null : held.origin, event);
    this.#changed();
  }

  async #record(kind, event, held = this.held) {
    const fields = this.#fields(event, held);
    await this.log.add(kind, { icon: held.icon, label: held.label, ...fields }, event.timeStamp);
    return fields;
  }

  #fields(event, held = this.held) {
    const pointed = "clientX" in event && !byKeyboard(event);
    const pointer = held.mode === "keys" || !pointed ? "keyboard" : pointerOf(event);
    // A key while a pointer carries the icon, or a touch that the browser took for scrolling: where it was last.
    const last = pointed && event.type !== "pointercancel" ? [event.clientX, event.clientY] : held.at;
    const here = held.mode === "keys" ? null : last;
    const place = here
      ? this.canvas.position(...here, event.timeStamp)
      : this.canvas.placed(...this.cursor, event.timeStamp);
    return { ...place, pointer, trusted: event.isTrusted };
  }

  #changed() {
    this.canvas.holding(this.held, this.cursor);
    this.changed(this.held);
  }
}

function apart([ax, ay], [bx, by]) {
  return Math.hypot(ax - bx, ay - by);
}

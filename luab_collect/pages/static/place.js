// The `place` task: each class that the image shows gets its icon, put onto the object.

import { Canvas } from "./canvas.js";
import { announce, h } from "./dom.js";
import { Hold } from "./hold.js";
import { Layouts } from "./layout.js";
import { Palette } from "./palette.js";
import { Arrivals, isComing } from "./picture.js";
import { Pointers } from "./pointers.js";
import { t } from "./strings.js";

export class PlaceTask {
  constructor({ page, project, log, scroller, state, changed }) {
    Object.assign(this, { log, changed });
    const [item] = page.items;
    this.item = item.id;
    const icons = new Map(project.classes.map((each) => [each.name, each.icon ?? null]));
    this.canvas = new Canvas({
      item,
      icons: state.icons,
      iconOf: (label) => icons.get(label) ?? null,
      grab: (icon, event, pin) => this.#grabPlaced(icon, event, pin),
    });
    this.images = new Map([[item.id, this.canvas.image]]);
    for (const kind of ["load", "error"]) this.canvas.image.addEventListener(kind, changed);
    this.layouts = new Layouts(log, this.images, scroller);
    this.arrivals = new Arrivals(log, this.images);
    this.canvas.layouts = this.layouts;
    this.hold = new Hold({
      log,
      canvas: this.canvas,
      nextIcon: state.nextIcon,
      dropped: (held, place, event) => this.#dropped(held, place, event),
      changed: (held) => this.#holding(held),
    });
    this.palette = new Palette({
      categories: project.categories,
      classes: project.classes,
      log,
      seen: state.seen,
      category: state.category,
      grab: (label, event, chip) => this.hold.grab({ label }, event, chip),
      changed,
    });
    this.pointers = new Pointers({
      log,
      layouts: this.layouts,
      area: this.canvas.element,
      itemOf: () => item.id,
      busy: () => this.hold.held !== null,
    });
    this.tools = this.#tools();
    this.element = h(
      "div",
      { class: "place" },
      h("div", { class: "stage" }, this.canvas.element),
      h("div", { class: "side" }, this.palette.element, this.tools),
      this.canvas.hand,
    );
    this.palette.count(this.canvas.labels());
  }

  start() {
    this.layouts.start();
    this.arrivals.start();
    this.palette.start();
  }

  missing() {
    const { unseen } = this.palette;
    return unseen ? t("place.missing", { count: unseen }) : null;
  }

  /** What is said to who submits before the image has come. */
  waiting() {
    return isComing(this.canvas.image) ? t("select.coming", { count: 1 }) : null;
  }

  /** Puts back what is held: the page is submitted as it looks. */
  settle(event) {
    return this.hold.cancel(event);
  }

  status() {
    return t("place.count", { count: this.canvas.icons.size });
  }

  submitText() {
    return this.canvas.icons.size ? t("submit") : t("place.none");
  }

  close() {
    this.layouts.close();
    this.arrivals.close();
    this.pointers.close();
    this.hold.close();
  }

  #tools() {
    this.hint = h("p", { class: "hint" }, t("place.hint"));
    const button = (key, act) => h("button", { type: "button", class: "small", on_click: act }, t(key));
    this.drop = button("place.cancel", (event) => this.hold.cancel(event));
    this.bin = button("place.remove", (event) => this.hold.remove(event));
    this.drop.hidden = this.bin.hidden = true;
    return h("div", { class: "tools" }, this.hint, this.bin, this.drop);
  }

  async #grabPlaced(icon, event, pin) {
    const { label, x, y } = this.canvas.icons.get(icon);
    if (event.type !== "keydown") return this.hold.grab({ label, icon, place: { x, y } }, event, pin);
    if (this.hold.held) return undefined; // the hold's own Delete
    event.preventDefault();
    event.stopPropagation();
    const key = { type: "click", detail: 0, timeStamp: event.timeStamp, isTrusted: event.isTrusted };
    await this.hold.grab({ label, icon, place: { x, y } }, key, pin);
    return this.hold.remove(key);
  }

  #dropped(held, place) {
    const pin = place ? this.canvas.put(held.icon, held.label, place) : this.canvas.take(held.icon);
    this.palette.count(this.canvas.labels());
    if (held.mode === "keys") {
      if (held.fresh) this.palette.focus(held.label);
      else (pin ?? this.canvas.element).focus();
    } else if (document.activeElement === document.body) this.canvas.element.focus({ preventScroll: true });
    announce(this.status());
    this.changed();
  }

  #holding(held) {
    this.palette.hold(held?.fresh ? held.label : null);
    this.bin.hidden = !held || held.fresh;
    this.drop.hidden = !held;
    const keys = { drag: "place.hint.drag", carry: "place.hint.carry", keys: "place.hint.keys" };
    this.hint.textContent = held ? t(keys[held.mode], { label: held.label }) : t("place.hint");
    if (held && held.mode !== "drag") announce(this.hint.textContent);
  }
}

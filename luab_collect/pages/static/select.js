// The `select` task: a wall of images, click all that show the class.

import { h } from "./dom.js";
import { contentBox, hits } from "./geometry.js";
import { neighbor } from "./grid.js";
import { Layouts } from "./layout.js";
import { byKeyboard, Pointers } from "./pointers.js";
import { Arrivals, hasCome, isComing, picture } from "./picture.js";
import { t } from "./strings.js";

export class SelectTask {
  /** `page`: {class_name, items}, `log`, `scroller`, `state`: of restore.js, `changed()` after each click. */
  constructor({ page, log, scroller, state, changed }) {
    Object.assign(this, { page, log, changed });
    this.selected = new Set(state.selected); // as decided; `aria-pressed` follows when it is on the disk
    this.images = new Map();
    this.tiles = page.items.map((item, index) => this.#tile(item, index));
    this.element = h("ul", { class: "wall", "aria-label": t("select.wall", { name: page.class_name }) });
    this.element.append(...this.tiles.map((tile) => tile.parentElement));
    this.layouts = new Layouts(log, this.images, scroller);
    this.arrivals = new Arrivals(log, this.images);
    const itemOf = (node) => node.closest?.("[data-item]")?.dataset.item ?? null;
    this.pointers = new Pointers({ log, layouts: this.layouts, area: this.element, itemOf });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("focusin", (event) => this.#focus(event));
    this.element.addEventListener("focusout", (event) => this.#leave(event));
  }

  start() {
    this.layouts.start();
    this.arrivals.start();
  }

  /** What the page must have before it is submitted; null: it can be. */
  missing() {
    return null;
  }

  /** What is said to who submits before all images have come: an image that was not seen is no answer. */
  waiting() {
    const coming = [...this.images.values()].filter(isComing).length;
    return coming ? t("select.coming", { count: coming }) : null;
  }

  settle() {
    return Promise.resolve();
  }

  status() {
    return t("select.count", { count: this.selected.size });
  }

  submitText() {
    return this.selected.size ? t("submit") : t("select.none");
  }

  close() {
    this.layouts.close();
    this.arrivals.close();
    this.pointers.close();
  }

  #tile(item, index) {
    const name = t("select.image", { number: index + 1, of: this.page.items.length });
    const image = picture(item, name);
    this.images.set(item.id, image);
    for (const kind of ["load", "error"]) image.addEventListener(kind, this.changed);
    const tile = h(
      "button",
      {
        type: "button",
        class: "tile",
        "data-item": item.id,
        "aria-pressed": String(this.selected.has(item.id)),
        tabindex: index ? -1 : 0,
        on_click: (event) => this.#toggle(item.id, event),
      },
      image,
    );
    h("li", { class: "cell", vars: { "--aspect": item.width / item.height } }, tile);
    return tile;
  }

  async #toggle(item, event) {
    const image = this.images.get(item);
    if (!hasCome(image)) return; // nothing to see yet
    const beside = !byKeyboard(event) && !hits(contentBox(image), event.clientX, event.clientY);
    if (beside) return; // on a bar beside an image that is longer than its tile
    const fields = this.pointers.clickFields(item, event);
    const selects = !this.selected.has(item);
    if (selects) this.selected.add(item);
    else this.selected.delete(item);
    await this.log.add(selects ? "select" : "deselect", { item, ...fields }, event.timeStamp);
    this.tile(item).setAttribute("aria-pressed", String(selects));
    this.changed();
  }

  tile(item) {
    return this.images.get(item).parentElement;
  }

  #key(event) {
    const index = this.tiles.indexOf(event.target.closest("[data-item]"));
    if (index < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const boxes = this.tiles.map((tile) => {
      const { left, top, width, height } = tile.getBoundingClientRect();
      return [left, top, width, height];
    });
    const next = neighbor(boxes, index, event.key, getComputedStyle(this.element).direction === "rtl");
    if (next === null) return;
    event.preventDefault();
    this.tiles[next].focus();
    this.#enter(this.tiles[next].dataset.item, event);
  }

  // One tab stop for the wall: the tile that had the focus last.
  #focus(event) {
    const tile = event.target.closest("[data-item]");
    if (!tile) return;
    for (const each of this.tiles) each.tabIndex = each === tile ? 0 : -1;
  }

  // The keyboard's look at an image counts as the pointer's does.
  #enter(item, event) {
    this.keyed = item;
    this.log.add("enter", { item, ...this.pointers.keyFields(item, 0.5, 0.5, event) }, event.timeStamp);
  }

  #leave(event) {
    if (!this.keyed) return;
    const item = this.keyed;
    this.keyed = null;
    this.log.add("leave", { item, ...this.pointers.keyFields(item, 0.5, 0.5, event) }, event.timeStamp);
  }
}

// The image of the `place` task with the icons that stand on it, and what is held above it.

import { h } from "./dom.js";
import { ratios } from "./geometry.js";
import { picture } from "./picture.js";
import { t } from "./strings.js";

export class Canvas {
  /** `icons`: Map icon -> {label, x, y}; `grab(icon, event, pin)`; `iconOf(label)`: address of its picture, or null. */
  constructor({ item, icons, grab, iconOf }) {
    Object.assign(this, { item, grab, iconOf });
    this.icons = new Map(icons);
    this.pins = new Map();
    this.image = picture(item, t("place.image"));
    this.cross = h("div", { class: "cross", hidden: true });
    this.hand = h("div", { class: "pin ghost", hidden: true, "aria-hidden": "true" });
    this.element = h(
      "div",
      {
        class: "canvas",
        tabindex: 0,
        role: "application",
        "aria-label": t("place.canvas"),
        vars: { "--aspect": item.width / item.height },
      },
      this.image,
      this.cross,
    );
    for (const [icon, { label, x, y }] of this.icons) this.put(icon, label, { x, y });
  }

  set layouts(layouts) {
    this.measure = layouts;
  }

  position(x, y, when) {
    return this.measure.position(this.item.id, x, y, when);
  }

  placed(x, y, when) {
    return this.measure.placed(this.item.id, x, y, when);
  }

  ratios(x, y) {
    return ratios(this.measure.at(this.item.id).box, x, y);
  }

  contains(node) {
    return node instanceof Node && this.element.contains(node);
  }

  labels() {
    return [...this.icons.values()].map((each) => each.label);
  }

  /** Shows an icon at a place. */
  put(icon, label, { x, y }) {
    this.icons.set(icon, { label, x, y });
    let pin = this.pins.get(icon);
    if (!pin) {
      pin = h("button", { type: "button", class: "pin" }, this.#face(label));
      pin.addEventListener("pointerdown", (event) => {
        if (event.isPrimary && event.button === 0) this.grab(icon, event, pin);
      });
      pin.addEventListener("click", (event) => event.detail === 0 && this.grab(icon, event, pin));
      pin.addEventListener("keydown", (event) => {
        if (event.key === "Delete" || event.key === "Backspace") this.grab(icon, event, pin);
      });
      this.pins.set(icon, pin);
      this.element.append(pin);
    }
    pin.classList.toggle("is-right", x > 0.7);
    pin.style.left = `${x * 100}%`;
    pin.style.top = `${y * 100}%`;
    const percent = { label, x: Math.round(x * 100), y: Math.round(y * 100) };
    pin.setAttribute("aria-label", t("place.pin", percent));
    return pin;
  }

  take(icon) {
    this.icons.delete(icon);
    this.pins.get(icon)?.remove();
    this.pins.delete(icon);
  }

  /** Shows that something is held (or nothing: null). */
  holding(held, cursor) {
    this.element.classList.toggle("is-holding", held !== null);
    for (const [icon, pin] of this.pins) pin.classList.toggle("is-held", held?.icon === icon);
    const keys = held?.mode === "keys";
    this.cross.hidden = !keys;
    this.hand.hidden = true;
    if (keys) {
      this.crosshair(held, cursor);
      this.element.focus();
    } else if (held?.at) this.ghost(held, held.at, "mouse");
  }

  /** What is held, at a pointer's position. */
  ghost(held, [x, y], pointer) {
    if (this.hand.dataset.label !== held.label) this.hand.replaceChildren(...this.#face(held.label));
    this.hand.dataset.label = held.label;
    this.hand.classList.toggle("is-above", pointer === "touch"); // a finger would hide it
    this.hand.style.transform = `translate(${x}px, ${y}px)`;
    this.hand.hidden = false;
  }

  crosshair(held, [x, y]) {
    this.cross.style.left = `${x * 100}%`;
    this.cross.style.top = `${y * 100}%`;
    this.cross.dataset.label = held.label;
  }

  #face(label) {
    const icon = this.iconOf(label);
    return [
      h("span", { class: "pin-dot" }),
      h("span", { class: "pin-tag" }, icon ? h("img", { src: icon, alt: "", width: 20, height: 20, draggable: "false" }) : null, label),
    ];
  }
}

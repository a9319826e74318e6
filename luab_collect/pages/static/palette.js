// The labels of the `place` task, by category. Every category is to be seen before the page is submitted.

import { h } from "./dom.js";
import { byKeyboard, pointerOf, usedLast } from "./pointers.js";
import { t } from "./strings.js";

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export class Palette {
  /** `grab(label, event, chip)`: a label is taken up. `seen`: Set of categories; `changed()` when it grows. */
  constructor({ categories, classes, log, seen, category, grab, changed }) {
    Object.assign(this, { categories, classes, log, changed });
    this.seen = new Set(seen);
    this.tabs = categories.map((name, index) => this.#tab(name, index));
    this.chips = new Map(classes.map((each) => [each.name, this.#chip(each, grab)]));
    this.heading = h("h2", { class: "palette-title", id: "palette-title" });
    this.labels = h("div", { class: "labels", role: "tabpanel", id: "labels", "aria-labelledby": "palette-title" });
    this.element = h(
      "section",
      { class: "palette", "aria-label": t("place.palette") },
      h("div", { class: "tabs", role: "tablist", "aria-label": t("place.categories"), on_keydown: (e) => this.#tabKey(e) }, this.tabs),
      h(
        "div",
        { class: "palette-head" },
        this.heading,
        this.#turner(-1, "place.previous", "‹"),
        this.#turner(1, "place.next", "›"),
      ),
      this.labels,
    );
    this.labels.addEventListener("keydown", (event) => this.#labelKey(event));
    this.#draw(category);
  }

  /** The first category counts as seen when the page is shown. */
  start() {
    if (!this.seen.has(this.category)) this.#saw(this.category, usedLast(), true);
  }

  get unseen() {
    return this.categories.length - this.seen.size;
  }

  /** Shows how often each label is on the image. */
  count(labels) {
    for (const [name, chip] of this.chips) {
      const times = labels.filter((label) => label === name).length;
      const badge = chip.querySelector(".chip-count");
      badge.textContent = times ? (times > 1 ? `✓ ${times}` : "✓") : "";
      badge.setAttribute("aria-label", times ? t("place.placed", { count: times }) : "");
      badge.hidden = !times;
    }
  }

  /** Shows which label is in hand; null: none. */
  hold(label) {
    for (const [name, chip] of this.chips) chip.setAttribute("aria-pressed", String(name === label));
  }

  focus(label) {
    const chip = this.chips.get(label);
    if (chip?.isConnected) chip.focus();
    else this.tabs[this.category].focus();
  }

  #tab(name, index) {
    return h(
      "button",
      {
        type: "button",
        class: "tab",
        role: "tab",
        id: `tab-${index}`,
        "aria-controls": "labels",
        on_click: (event) => this.#show(index, event),
      },
      h("span", { class: "tab-name" }, name),
    );
  }

  #turner(step, key, sign) {
    return h(
      "button",
      {
        type: "button",
        class: "turner",
        "aria-label": t(key),
        on_click: (event) => this.#show((this.category + step + this.tabs.length) % this.tabs.length, event),
      },
      sign,
    );
  }

  #chip(each, grab) {
    const chip = h(
      "button",
      { type: "button", class: "chip", tabindex: -1, "aria-pressed": "false", title: each.definition || false, "data-label": each.name },
      each.icon ? h("img", { class: "chip-icon", src: each.icon, alt: "", width: 28, height: 28, draggable: "false" }) : null,
      h("span", { class: "chip-name" }, each.name),
      h("span", { class: "chip-count", hidden: true, role: "img" }),
    );
    chip.addEventListener("pointerdown", (event) => {
      if (event.isPrimary && event.button === 0) grab(each.name, event, chip);
    });
    chip.addEventListener("click", (event) => {
      if (byKeyboard(event)) grab(each.name, event, chip);
    });
    return chip;
  }

  async #show(index, event) {
    if (index === this.category) return;
    this.category = index; // at once: the next key counts from here
    const focused = this.labels.contains(document.activeElement);
    await this.#saw(index, byKeyboard(event) ? "keyboard" : pointerOf(event), event.isTrusted);
    if (this.category !== index) return;
    this.#draw(index);
    if (focused) this.tabs[index].focus();
  }

  async #saw(index, pointer, trusted) {
    await this.log.add("category", { category: index, pointer, trusted });
    this.seen.add(index);
    this.#mark();
    this.changed();
  }

  #draw(index) {
    this.category = index;
    const name = this.categories[index];
    const chips = this.classes.filter((each) => each.category === name).map((each) => this.chips.get(each.name));
    for (const [number, chip] of chips.entries()) chip.tabIndex = number ? -1 : 0;
    this.labels.replaceChildren(...chips);
    this.heading.textContent = t("place.category", { name, number: index + 1, of: this.categories.length });
    this.#mark();
  }

  #mark() {
    for (const [index, tab] of this.tabs.entries()) {
      const shown = index === this.category;
      tab.setAttribute("aria-selected", String(shown));
      tab.tabIndex = shown ? 0 : -1;
      tab.classList.toggle("is-seen", this.seen.has(index));
      tab.setAttribute("aria-label", t(this.seen.has(index) ? "place.seen" : "place.unseen", { name: this.categories[index] }));
    }
  }

  #tabKey(event) {
    const next = steppedIndex(event.key, this.category, this.tabs.length);
    if (next === null || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#show(next, { detail: 0, isTrusted: event.isTrusted });
    this.tabs[next].focus();
  }

  #labelKey(event) {
    const chips = [...this.labels.children];
    const index = chips.indexOf(event.target.closest(".chip"));
    const next = index < 0 || event.altKey || event.ctrlKey ? null : steppedIndex(event.key, index, chips.length);
    if (next === null) return;
    event.preventDefault();
    for (const [number, chip] of chips.entries()) chip.tabIndex = number === next ? 0 : -1;
    chips[next].focus();
  }
}

function steppedIndex(key, index, length) {
  if (key === "Home") return 0;
  if (key === "End") return length - 1;
  return key in STEPS ? (index + STEPS[key] + length) % length : null;
}

// What stands around a task: what is asked for, above; progress, state and the way on, below. Both stay in view.

import { fromMarkdown, h, outsideLink } from "./dom.js";
import { PlaceTask } from "./place.js";
import { SelectTask } from "./select.js";
import { t } from "./strings.js";

export class Frame {
  /** `progress`: a text. `submit(event)`: the way on was clicked. */
  constructor({ project, page, log, state, progress, submit }) {
    Object.assign(this, { project });
    this.place = project.task === "place";
    this.scroller = h("main", { class: "scroller", id: "main" });
    const Task = this.place ? PlaceTask : SelectTask;
    const changed = () => this.update();
    this.task = new Task({ page, project, log, scroller: this.scroller, state, changed });
    this.count = h("span", { class: "count" });
    this.saved = h("span", { class: "saved" });
    this.why = h("span", { class: "why", id: "why" });
    this.button = h("button", { type: "button", class: "primary", "aria-describedby": "why", on_click: submit });
    this.help = helpDialog(project);
    this.bar = h(
      "footer",
      { class: "bar" },
      h("span", { class: "progress" }, progress),
      this.count,
      this.saved,
      h("button", { type: "button", class: "small help", on_click: () => this.help.showModal() }, t("instructions")),
      this.why,
      this.button,
    );
    this.scroller.append(this.task.element);
    this.element = h("div", { class: `frame is-${project.task}` }, this.#head(page), this.scroller, this.bar, this.help);
    this.update();
  }

  update() {
    this.count.textContent = this.task.status();
    const missing = this.task.missing();
    this.why.textContent = missing ?? "";
    this.why.hidden = !missing;
    this.button.setAttribute("aria-disabled", String(missing !== null));
    this.button.textContent = this.sending ? t("sending") : this.task.submitText();
  }

  /** Shows why the page cannot be submitted now, until something changes. */
  explain(text) {
    this.why.textContent = text;
    this.why.hidden = false;
  }

  /** From the submission on: nothing can be changed. */
  freeze() {
    this.sending = true;
    this.scroller.inert = true;
    this.button.disabled = true;
    this.update();
  }

  /** Says what becomes of the work; `good`: nothing that needs to be read. */
  saying(text, good) {
    if (this.saved.textContent !== text) this.saved.textContent = text;
    this.saved.classList.toggle("is-good", good);
  }

  #head(page) {
    if (this.place) {
      return h("header", { class: "head" }, h("h1", { tabindex: -1, "data-focus": true }, t("place.title")));
    }
    const described = this.project.classes.find((each) => each.name === page.class_name) ?? { links: [] };
    const links = (described.links ?? []).map((address) => h("li", {}, outsideLink(address, shortened(address))));
    const title = h("h1", { tabindex: -1, "data-focus": true }, t("select.title", { name: page.class_name }));
    const about = h(
      "div",
      { class: "about", role: "region", "aria-label": t("select.about") },
      described.definition ? h("p", { class: "definition" }, described.definition) : null,
      links.length ? h("ul", { class: "links" }, links) : null,
    );
    focusableWhenItScrolls(about);
    return h("header", { class: "head" }, title, about.children.length ? about : null);
  }
}

function helpDialog(project) {
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "help-title" });
  dialog.append(
    h("h2", { id: "help-title" }, t("instructions")),
    h("div", { class: "prose" }, fromMarkdown(project.instructions_html)),
    h("button", { type: "button", class: "primary", on_click: () => dialog.close() }, t("close")),
  );
  return dialog;
}

// So that keys scroll it; otherwise it would be a stop of the Tab key for nothing.
function focusableWhenItScrolls(element) {
  new ResizeObserver(() => {
    if (element.scrollHeight > element.clientHeight) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  }).observe(element);
}

function shortened(address) {
  try {
    return new URL(address).hostname.replace(/^www\./, "");
  } catch {
    return address;
  }
}

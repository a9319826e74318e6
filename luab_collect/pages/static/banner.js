// Lines over the page's foot that say what is wrong and what happens with the work. They cover, and move nothing.

import { h } from "./dom.js";
import { t } from "./strings.js";

const shown = new Map();

/** Shows the banner of `key` (a text). `closes`: it can be closed, because nothing else takes it away. */
export function banner(key, { values = {}, closes = false } = {}) {
  if (shown.has(key)) return;
  const close = () => unbanner(key);
  const button = closes ? h("button", { type: "button", class: "small", on_click: close }, t("close")) : null;
  const element = h("div", { class: "banner", role: "status", "data-banner": key }, h("span", {}, t(key, values)), button);
  shown.set(key, element);
  document.getElementById("banners").append(element);
}

export function unbanner(key) {
  shown.get(key)?.remove();
  shown.delete(key);
}

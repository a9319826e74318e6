// Lines over the page's foot that say what is wrong and what happens with the work. They move nothing.

import { h } from "./dom.js";
import { t } from "./strings.js";

const shown = new Map();

/** Shows the banner of `key` (a text), until it is closed or `unbanner`. */
export function banner(key, values = {}) {
  if (shown.has(key)) return;
  const button = h("button", { type: "button", class: "small", on_click: () => unbanner(key) }, t("close"));
  const element = h("div", { class: "banner", role: "status", "data-banner": key }, h("span", {}, t(key, values)), button);
  shown.set(key, element);
  document.getElementById("banners").append(element);
}

export function unbanner(key) {
  shown.get(key)?.remove();
  shown.delete(key);
}

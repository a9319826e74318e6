// Before the work: consent, instructions. Each resolves when the annotator goes on.

import { fromMarkdown, h, show } from "./dom.js";
import { message } from "./messages.js";
import { t } from "./strings.js";

/** Resolves when the annotator agrees; who does not agree can close the page. */
export function consent({ html }) {
  return new Promise((resolve) => {
    const box = h("input", { type: "checkbox", id: "agree" });
    const go = h("button", { type: "button", class: "primary", "aria-disabled": "true", "aria-describedby": "need" }, t("consent.go"));
    const need = h("p", { class: "need", id: "need", role: "status" });
    box.addEventListener("change", () => {
      go.setAttribute("aria-disabled", String(!box.checked));
      need.textContent = "";
    });
    go.addEventListener("click", () => {
      if (box.checked) resolve();
      else need.textContent = t("consent.need");
    });
    const again = { text: t("consent.back"), act: () => consent({ html }).then(resolve) };
    const refuse = h("button", { type: "button", class: "plain", on_click: () => message("declined", { action: again }) }, t("consent.refuse"));
    page(t("consent.title"), html, [
      h("p", { class: "agree" }, box, h("label", { for: "agree" }, t("consent.agree"))),
      h("p", { class: "ways" }, go, refuse),
      need,
    ]);
  });
}

/** Resolves when the annotator has read what is to be done. `practices`: practice comes next. */
export function instructions(html, practices) {
  return new Promise((resolve) => {
    const key = practices ? "instructions.practice" : "instructions.go";
    page(t("instructions.title"), html, [
      h("p", { class: "ways" }, h("button", { type: "button", class: "primary", on_click: resolve }, t(key))),
    ]);
  });
}

function page(title, html, below) {
  show(
    h(
      "main",
      { class: "document", id: "main" },
      h("h1", { tabindex: -1, "data-focus": true }, title),
      h("div", { class: "prose" }, fromMarkdown(html)),
      below,
    ),
  );
}

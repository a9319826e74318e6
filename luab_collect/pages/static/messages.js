// Pages that say one thing: done, nothing left, withdrawn, the session's end, another tab.

import { h, show, webAddress } from "./dom.js";
import { t } from "./strings.js";

const SECONDS = 8; // before the browser goes to the platform by itself

/** Shows a title, texts and buttons; `key.title` and `key.text` are their texts. `action`: {text, act}. */
export function message(key, { values = {}, action = null, extra = [] } = {}) {
  const button = action ? h("button", { type: "button", class: "primary", on_click: action.act }, action.text) : null;
  show(
    h(
      "main",
      { class: "message", id: "main" },
      h("h1", { tabindex: -1, "data-focus": true }, t(`${key}.title`)),
      h("p", {}, t(`${key}.text`, values)),
      extra,
      button,
    ),
  );
}

/** The code of complete work, and the way back to where the annotator came from. `more`: goes on with more pages. */
export function done({ code, url } = {}, more = null) {
  const extra = [];
  if (code) extra.push(codeBox(code));
  const address = url ? webAddress(url) : null;
  if (address) extra.push(redirection(address));
  message("done", { extra, action: more && { text: t("done.more"), act: more } });
}

function codeBox(code) {
  const copied = h("span", { role: "status" });
  const copy = async () => {
    await navigator.clipboard.writeText(code);
    copied.textContent = t("done.copied");
  };
  // Without a secure context there is no clipboard: the code can still be marked and copied.
  const button = navigator.clipboard ? h("button", { type: "button", class: "small", on_click: copy }, t("done.copy")) : null;
  return h("p", { class: "code-line" }, h("span", {}, t("done.code")), h("code", { class: "code" }, code), button, copied);
}

function redirection(address) {
  const leaving = h("p", { class: "leaving" }, t("done.leaving", { count: SECONDS }));
  const timer = setTimeout(() => location.assign(address), SECONDS * 1000);
  const stay = h("button", { type: "button", class: "small" }, t("done.stay"));
  stay.addEventListener("click", () => {
    clearTimeout(timer);
    leaving.textContent = "";
    stay.remove();
  });
  return h("div", { class: "ways" }, h("a", { class: "primary", href: address }, t("done.back")), leaving, stay);
}

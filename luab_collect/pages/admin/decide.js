// The form of a decision: a verdict and its reason, which is kept.

import { announce, h } from "/static/dom.js";
import { ask } from "./server.js";
import { moment, number } from "./words.js";

/** A form about {work: ID} or {annotator: ID}; `done` is called with what a decision covered when it is kept. */
export function decisionForm(title, about, done) {
  const reason = h("textarea", { id: "reason", rows: 3, maxlength: 2000, required: true, "aria-describedby": "kept" });
  const problem = h("p", { class: "need", role: "alert" });
  const send = async (verdict) => {
    problem.textContent = "";
    if (!reason.value.trim()) {
      problem.textContent = "A decision needs its reason.";
      reason.focus();
      return;
    }
    try {
      const { pages, undone } = await ask("decisions", { ...about, verdict, reason: reason.value.trim() });
      const otherwise = undone ? `, of which ${number(undone)} decided otherwise before` : "";
      const told = `Kept: ${verdict} (${number(pages)} ${pages === 1 ? "page" : "pages"} of work${otherwise}).`;
      announce(told);
      done(told);
    } catch (error) {
      problem.textContent = error.message;
    }
  };
  return h("section", { class: "card", "aria-labelledby": "decide-title" },
    h("h2", { id: "decide-title" }, title),
    h("label", { for: "reason" }, "Reason"),
    reason,
    h("p", { id: "kept", class: "muted" }, "Rejected work does not count and is not exported; its pages go to other ",
      "annotators. A decision about an annotator covers what she has submitted by then; the last one that covers a ",
      "page holds."),
    h("div", { class: "ways" },
      h("button", { type: "button", class: "primary", on_click: () => send("accept") }, "Accept"),
      h("button", { type: "button", on_click: () => send("reject") }, "Reject")),
    problem);
}

/** The decisions so far, or null without any. */
export function decided(decisions) {
  if (!decisions.length) return null;
  const words = (each) => `${moment(each.at)} ${each.subject} ${each.id}: ${each.verdict} (${each.by}): ${each.reason}`;
  return h("section", { "aria-labelledby": "decided-title" },
    h("h2", { id: "decided-title" }, "Decisions"),
    h("ul", {}, decisions.map((each) => h("li", {}, words(each)))));
}

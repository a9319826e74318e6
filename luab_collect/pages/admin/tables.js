// Tables that scroll by themselves where they are too wide, also by keyboard; and figures with their names.

import { h } from "/static/dom.js";

/** A table with a caption; cells are texts or elements, the first of each row is its header. */
export function table(caption, columns, rows) {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map((each) => h("th", { scope: "col" }, each)))),
      h("tbody", {}, rows.map(([first, ...others]) =>
        h("tr", {}, h("th", { scope: "row" }, first), others.map((each) => h("td", {}, each)))))));
}

/** Figures: [name, value] pairs. */
export function figures(pairs) {
  return h("dl", { class: "figures" }, pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

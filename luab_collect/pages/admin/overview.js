// The parts of the first page: how far the work is and how fast, how well it is done, what the rules propose.

import { h } from "/static/dom.js";
import { figures, table } from "./tables.js";
import { coefficient, hours, interval, moment, number, seconds, size } from "./words.js";

export const linkTo = (kind, id) => h("a", { href: `#/${kind}/${id}` }, h("code", {}, id));

function section(name, title, ...parts) {
  return h("section", { "aria-labelledby": `${name}-title` }, h("h2", { id: `${name}-title` }, title), ...parts);
}

/** From GET /admin/api/progress. */
export function progressSection(progress) {
  return section("progress", "Progress",
    h("label", { for: "bar", class: "progress" },
      `${number(progress.submitted)} of ${number(progress.wanted)} pages of work`,
      h("progress", { id: "bar", max: Math.max(1, progress.wanted), value: progress.submitted })),
    figures([
      ["pages × annotators", `${number(progress.pages)} × ${progress.overlap}`],
      ["at work", number(progress.leased)],
      ["given back", number(progress.returned)],
      ["submitted, not counted", number(progress.not_counted)],
      ["submitted beyond the overlap", number(progress.beyond)],
      ["submitted in the last hour", number(progress.pace.last_hour)],
      ["in the last 24 hours", number(progress.pace.last_day)],
      ["time left at this pace", hours(progress.left_hours)],
      ["events", `${number(progress.events.events)} in ${size(progress.events.bytes)}`],
      ["refused repeats", number(progress.conflicts)],
    ]));
}

/** From GET /admin/api/review. */
export function qualitySection({ whole, agreement, gold }) {
  const practiced = `The practice shows ${number(gold.practiced)} of ${number(gold.images)} images with a known answer: `;
  return section("quality", "Quality",
    figures([
      ["gold recall", interval(whole.recall)],
      ["gold precision", interval(whole.precision)],
      ["points in the gold box", interval(whole.in_box)],
      ["Krippendorff's alpha", coefficient(agreement)],
      ["answers with the majority", interval(whole.majority)],
      ["distance to the others", whole.distance === null ? "–" : whole.distance.toFixed(3)],
      ["visible, a page", seconds(whole.visible)],
      ["images that never came: no answer", number(whole.unseen.count)],
    ]),
    gold.practiced ? h("p", { class: "muted" }, practiced, "they are not counted as gold.") : null,
    h("p", { class: "muted" }, "With 95 % intervals, and how many decisions they rest on. Distances are in ratios of the image."));
}

export function proposalSection({ proposals }) {
  const rows = proposals.map((each) => [linkTo(each.subject, each.id), each.rule, each.reason]);
  return section("proposals", "What to look at", rows.length
    ? table("Proposed by the rules; nothing is rejected by itself", ["annotator or page of work", "rule", "found"], rows)
    : h("p", {}, "The rules propose nothing."));
}

/** `review`: null while it is read. */
export function annotatorSection({ annotators }, review) {
  const rows = annotators.map((each) => {
    const found = review?.annotators[each.annotator];
    const known = found && [
      interval(found.recall), interval(found.precision), interval(found.in_box), interval(found.majority),
      seconds(found.visible), number(found.replayed), number(found.untrusted),
      number(found.unseen.count),
    ];
    return [
      linkTo("annotator", each.annotator), each.withdrawn ? "withdrawn" : each.platform, number(each.submitted),
      moment(each.last), ...(known ?? Array(8).fill("–")), each.verdict ?? "",
    ];
  });
  const columns = ["annotator", "from", "pages", "last (UTC)", "recall", "precision", "in the box", "majority", "visible",
    "replayed", "untrusted", "unseen", "decision"];
  return section("annotators", "Annotators", table("All annotators, most pages first", columns, rows));
}

// The admin's pages: overview, pages of work, an annotator, a page of work. The address's fragment says which.

import { h, show } from "/static/dom.js";
import { decided, decisionForm } from "./decide.js";
import { annotatorSection, linkTo, progressSection, proposalSection, qualitySection } from "./overview.js";
import { player } from "./player.js";
import { ask, Refused, takeToken } from "./server.js";
import { table } from "./tables.js";
import { moment, number } from "./words.js";

const project = document.body.dataset.name;
let visit = 0; // number of the newest page; what arrives for an older one is late

function page(title, ...parts) {
  document.title = `${title}: ${project}`;
  show(h("main", { id: "main" },
    h("nav", { "aria-label": "Pages" }, h("a", { href: "#/" }, "Overview"), h("a", { href: "#/works/0" }, "Pages of work")),
    h("h1", { tabindex: -1, "data-focus": true }, title),
    ...parts));
}

function failed(error) {
  const again = error.status === 401
    ? "Open the admin's address as `luab collect serve` printed it: it ends with a token."
    : error.message;
  page("This did not work", h("p", { role: "alert" }, again),
    h("p", {}, h("button", { type: "button", on_click: route }, "Try again")));
}

async function overview(mine) {
  const progress = await ask("progress");
  if (mine !== visit) return;
  const waiting = h("p", { role: "status" }, "Reading the submitted pages of work …");
  const annotators = h("div", {}, annotatorSection(progress, null));
  page(project, progressSection(progress), h("p", {}, h("button", { type: "button", on_click: route }, "Refresh")),
    waiting, annotators);
  const review = await ask("review"); // the server reads each page of work once: the first time is slow
  if (mine !== visit) return;
  waiting.replaceWith(qualitySection(review), proposalSection(review));
  annotators.replaceChildren(annotatorSection(progress, review));
}

async function works(offset, annotator) {
  const of = annotator ? `&annotator=${encodeURIComponent(annotator)}` : "";
  const found = await ask(`work?offset=${offset}${of}`);
  const rows = found.works.map((each) => [
    linkTo("work", each.id), linkTo("annotator", each.annotator), number(each.page + 1), each.class_name ?? "",
    moment(each.submitted), `${each.minutes.toFixed(1)} min`, each.verdict ?? "",
  ]);
  const upTo = offset + rows.length;
  const kind = annotator ? "annotator" : "works";
  return [
    table(`Pages of work ${rows.length ? offset + 1 : 0} to ${upTo} of ${number(found.total)}, the newest first`,
      ["page of work", "annotator", "page", "class", "submitted (UTC)", "since it was given out", "decision"], rows),
    upTo < found.total ? h("p", {}, h("a", { href: `#/${kind}/${annotator ? `${annotator}/` : ""}${upTo}` }, "Older ones")) : null,
  ];
}

async function oneWork(mine, id) {
  const work = await ask(`work/${encodeURIComponent(id)}`);
  if (mine !== visit) return;
  page(`Page of work ${id.slice(0, 8)}`,
    h("p", {}, "By ", linkTo("annotator", work.annotator), `; page ${work.page + 1}; ${work.state}`,
      work.class_name === null ? "" : `; looking for: ${work.class_name}`,
      work.conflicts ? `; ${work.conflicts} refused repeats` : "",
      work.verdict ? `; decided: ${work.verdict}` : ""),
    player(work),
    answers(work),
    decided(work.decisions),
    work.state === "submitted" ? decisionForm("Decide about this page of work", { work: id }, decidedNow) : null);
}

function answers(work) {
  const count = (item, ...kinds) =>
    number(work.events.filter((event) => event.item === item.id && kinds.includes(event.kind)).length);
  const known = ({ gold }) => {
    if (!gold) return "";
    if (work.class_name === null) return Object.keys(gold).filter((name) => gold[name] !== null).join(", ") || "nothing";
    return work.class_name in gold ? (gold[work.class_name] === null ? "not shown" : "shown") : "";
  };
  const unseen = new Set(work.unseen); // in the replay they are empty, as an image is that cannot be read now
  return table("Images of this page", ["file", "role", "known", "clicks", "moves", "seen"],
    work.items.map((item) => [
      item.file, item.role, known(item), count(item, "select", "deselect"), count(item, "move"),
      unseen.has(item.id) ? "never came: no answer" : "",
    ]));
}

async function decidedNow(told) {
  await route();
  document.querySelector("h1").after(h("p", {}, told));
}

async function route() {
  const mine = ++visit;
  try {
    const [, kind = "", id = "", offset = "0"] = location.hash.split("/").map(decodeURIComponent);
    if (kind === "work") await oneWork(mine, id);
    else if (kind === "works" || kind === "annotator") {
      const one = kind === "annotator";
      const list = await works(Number.parseInt(one ? offset : id, 10) || 0, one ? id : null);
      if (mine !== visit) return;
      const title = "Decide about what this annotator has submitted";
      if (one) page(`Annotator ${id}`, ...list, decisionForm(title, { annotator: id }, decidedNow));
      else page("Pages of work", ...list);
    } else await overview(mine);
  } catch (error) {
    if (mine === visit) failed(error);
  }
}

if (takeToken()) {
  window.addEventListener("hashchange", route);
  route();
} else failed(new Refused(401, ""));

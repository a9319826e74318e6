// Practice pages: the task with its answers, which are shown after a check. Nothing of it is recorded.

import { announce, h, show } from "./dom.js";
import { Frame } from "./frame.js";
import { inside, ratios } from "./geometry.js";
import { NoLog } from "./log.js";
import { hasCome } from "./picture.js";
import { restored } from "./restore.js";
import { t } from "./strings.js";

/** Goes through all practice pages; resolves after the last. */
export async function practice(project) {
  for (const [index, page] of project.practice.entries()) {
    await one(project, page, t("practice.progress", { number: index + 1, of: project.practice.length }));
  }
}

function one(project, page, progress) {
  return new Promise((resolve) => {
    let checked = false;
    const check = async (event) => {
      if (checked) {
        frame.task.close();
        resolve();
        return;
      }
      if (frame.task.missing()) return;
      await frame.task.settle(event);
      const faults = project.task === "place" ? judgePlace(frame.task, page) : judgeSelect(frame.task, page);
      report.replaceChildren(...faults.map((fault) => h("li", {}, fault)));
      verdict.textContent = faults.length ? t("practice.faults", { count: faults.length }) : t("practice.right");
      announce(verdict.textContent);
      // Right, or seen twice what is wrong: on. Nobody is held up here.
      checked = !faults.length || tried;
      tried = true;
      frame.task.submitText = () => t(checked ? "practice.next" : "practice.again");
      frame.update();
    };
    let tried = false;
    const frame = new Frame({ project, page, log: new NoLog(), state: restored([]), progress, submit: check });
    const verdict = h("p", { class: "verdict" }, t("practice.hint"));
    const report = h("ul", { class: "report" });
    frame.task.submitText = () => t("practice.check");
    frame.scroller.prepend(h("section", { class: "practice", "aria-label": t("practice.title") }, verdict, report));
    frame.update();
    show(frame.element);
    frame.task.start();
  });
}

/** Marks each tile as right or wrong; the faults as texts. */
function judgeSelect(task, page) {
  const faults = [];
  for (const [index, item] of page.items.entries()) {
    if (!hasCome(task.images.get(item.id))) continue; // nobody can know
    const right = task.selected.has(item.id) === Boolean(item.answer);
    const tile = task.tile(item.id);
    tile.dataset.verdict = right ? "right" : "wrong";
    if (right) continue;
    const key = item.answer ? "practice.shows" : "practice.shows_not";
    faults.push(t(key, { number: index + 1, name: page.class_name }) + (item.why ? ` ${item.why}` : ""));
  }
  return faults;
}

/** Faults of the icons: a class that is missing, one that is not shown, one beside its object. */
function judgePlace(task, page) {
  if (!hasCome(task.canvas.image)) return [];
  const answers = page.items[0].answers ?? [];
  const icons = [...task.canvas.icons.values()];
  const faults = [];
  for (const { label, box } of answers) {
    const placed = icons.filter((icon) => icon.label === label);
    if (!placed.length) faults.push(t("practice.missing", { label }));
    else if (box && !placed.some((icon) => within(icon, answers, label))) faults.push(t("practice.beside", { label }));
  }
  const shown = new Set(answers.map((each) => each.label));
  for (const label of new Set(icons.map((icon) => icon.label))) {
    if (!shown.has(label)) faults.push(t("practice.extra", { label }));
  }
  return faults;
}

function within({ x, y }, answers, label) {
  return answers.some(
    ({ label: each, box }) => each === label && (!box || inside(ratios([box[0], box[1], box[2] - box[0], box[3] - box[1]], x, y))),
  );
}

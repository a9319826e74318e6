// From the annotator's link to the code: enter, consent, instructions, practice, pages of work, done.

import { Api, Refused } from "./api.js";
import { banner, unbanner } from "./banner.js";
import { Connection } from "./connection.js";
import { Journal } from "./journal.js";
import { sendLeft } from "./leftovers.js";
import { WriterLock } from "./lock.js";
import { done, message } from "./messages.js";
import { practice } from "./practice.js";
import { t } from "./strings.js";
import { consent, instructions } from "./welcome.js";
import { Work } from "./work.js";

const ENDS = { session: "expired", withdrawn: "withdrawn" };
const TRIES = 3; // of a page that the server asks to start again; then the annotator is told

class Studio {
  constructor() {
    this.api = new Api();
    this.connection = new Connection((state) => this.#banner(state));
    this.work = null;
    this.instructed = false;
    this.runs = 0;
  }

  async start() {
    if (!this.api.enterable) return message("no_link");
    try {
      this.journal = await Journal.open();
      const { annotator } = await this.connection.persist(() => this.api.enter());
      this.lock = new WriterLock(annotator, () => this.#lost());
      return (await this.lock.acquire()) ? await this.run() : this.#elsewhere();
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** Follows what the server says comes next. */
  async run() {
    const mine = ++this.runs; // a tab that lost the lock and took it back runs anew
    const goesOn = () => this.lock.held && mine === this.runs;
    this.project = await this.connection.persist(() => this.api.get("project"));
    for (let failures = 0; goesOn(); ) {
      const refused = await sendLeft(this); // before the server says what comes next: a page may have been finished
      const next = await this.connection.persist(() => this.api.get("work"));
      if (!goesOn()) return undefined;
      if (next.state === "done") return done(next.completion, next.more ? () => this.#more() : null);
      if (next.state === "nothing") return message("nothing");
      if (next.state === "consent") await this.#consent();
      else if (next.state === "practice") await this.#practice();
      else {
        const result = await this.#page(next, refused.get(next.page.work));
        if (result in ENDS) return message(ENDS[result]);
        if (result === "superseded") return this.#overtaken();
        failures = result === "again" ? failures + 1 : 0;
        if (failures >= TRIES) throw new Error(t("error.page"));
      }
    }
    return undefined;
  }

  async #more() {
    try {
      await this.connection.persist(() => this.api.post("assignments"));
      await this.run();
    } catch (error) {
      this.#failed(error);
    }
  }

  async #consent() {
    await consent(this.project.consent);
    await this.connection.persist(() => this.api.post("consent", { version: this.project.consent.version }));
  }

  async #practice() {
    await this.#instructions(this.project.practice.length > 0);
    await practice(this.project);
    await this.connection.persist(() => this.api.post("practice"));
  }

  async #instructions(practices) {
    if (!this.instructed) await instructions(this.project.instructions_html, practices);
    this.instructed = true;
  }

  // `refused`: events of earlier tabs, which stay in the journal; the page goes on from what the server has.
  async #page(next, refused = []) {
    const begun = next.assignment.done || Object.keys(next.page.acked).length || refused.length;
    if (!begun) await this.#instructions(false);
    if (refused.length) banner("banner.refused", { reason: refused[0].message });
    this.work = new Work({ ...this, ...next });
    const result = await this.work.run(!this.unfinished);
    this.unfinished = result === "unfinished";
    if (result === "submitted") unbanner("banner.refused"); // it was about this page
    return result;
  }

  // Another computer has gone on with this page of work; no lock reaches there.
  #overtaken() {
    this.lock.letGo();
    this.#elsewhere();
  }

  async #lost() {
    await this.work?.close();
    this.#elsewhere();
  }

  #elsewhere() {
    const act = async () => {
      try {
        message("taking");
        if (await this.lock.acquire(true)) await this.run();
        else this.#elsewhere();
      } catch (error) {
        this.#failed(error);
      }
    };
    message("elsewhere", { action: { text: t("elsewhere.take"), act } });
  }

  #failed(error) {
    const reload = { text: t("reload"), act: () => location.reload() };
    if (error instanceof Refused && error.code === "withdrawn") return message("withdrawn");
    if (error instanceof Refused && (error.status === 401 || error.status === 403)) return message("expired");
    console.error(error);
    return message("error", { values: { reason: error.message }, action: reload });
  }

  #banner(state) {
    for (const key of ["offline", "full"]) {
      if (state === key) banner(`banner.${key}`);
      else unbanner(`banner.${key}`);
    }
  }
}

// A page from the back-forward cache has given its lock away.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
const studio = new Studio();
// Another annotator's link differs only after `#`, which by itself loads nothing.
window.addEventListener("hashchange", () => studio.api.moved && location.reload());
studio.start();

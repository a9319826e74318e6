// What earlier tabs wrote to this computer's disk, and the server has not got: events, and submissions of pages.

import { unansweredSubmit } from "./restore.js";
import { submitPage } from "./submission.js";
import { Uploader } from "./uploader.js";

/**
 * Sends those of all pages of work, and submits pages that were finished, also where others have got them meanwhile:
 * Map of page of work -> [Stopped] of epochs that were refused. What the server will never take is settled: it stays in
 * the journal, and is neither sent nor told of again. What may be another annotator's stays for her, for thirty days.
 */
export async function sendLeft(given) {
  const refused = new Map();
  for (const work of await given.journal.works().catch(() => [])) {
    const errors = await sendPage(given, work);
    for (const error of errors) console.warn(`events of page ${work} were refused, and stay here:`, error);
    if (errors.length) refused.set(work, errors);
  }
  return refused;
}

async function sendPage(given, work) {
  const left = await given.journal.unsent(work).catch(() => []);
  const errors = [];
  for (const epoch of new Set(left.map((event) => event.epoch))) {
    const events = left.filter((event) => event.epoch === epoch).map(({ epoch: _, ...event }) => event);
    try {
      await sendEpoch(given, work, epoch, events);
    } catch (error) {
      errors.push(error);
      if (!error.forever) return errors;
      await given.journal.settle(work, epoch).catch(() => {});
    }
  }
  const submit = unansweredSubmit(left);
  if (submit && !errors.some(({ epoch }) => epoch === submit.epoch)) {
    const refusal = (error) => console.warn(`page ${work} was not submitted:`, error);
    await submitPage(given, work, submit.epoch, submit.seq).catch(refusal);
  }
  return errors;
}

async function sendEpoch({ api, connection, journal }, work, epoch, events) {
  const uploader = new Uploader({ api, connection, journal, work, changed() {}, stopped() {} });
  uploader.push(epoch, events);
  try {
    await uploader.drain();
  } finally {
    uploader.close();
  }
}

// Events that an earlier tab wrote to this computer's disk and could not send.

import { Uploader } from "./uploader.js";

/**
 * Sends those of a page of work, epoch by epoch: {sent: whether there were any, refused: [Stopped] of epochs that the
 * server will never take}. These are settled: they stay in the journal, and are neither sent nor told of again. Raises
 * Stopped for what it may take later.
 */
export async function sendLeft(given, work, acked = {}) {
  const left = await given.journal.unsent(work).catch(() => []);
  const unsent = left.filter((event) => event.seq > (acked[event.epoch] ?? 0));
  const refused = [];
  for (const epoch of new Set(unsent.map((event) => event.epoch))) {
    const events = unsent.filter((event) => event.epoch === epoch).map(({ epoch: _, ...event }) => event);
    try {
      await sendEpoch(given, work, epoch, acked[epoch] ?? 0, events);
    } catch (error) {
      if (!error.forever) throw error;
      await given.journal.settle(work, epoch).catch(() => {});
      refused.push(error);
    }
  }
  return { sent: unsent.length > 0, refused };
}

async function sendEpoch({ api, connection, journal }, work, epoch, acked, events) {
  const uploader = new Uploader({ api, connection, journal, work, changed() {}, stopped() {} });
  uploader.lane(epoch, acked);
  uploader.push(epoch, events);
  try {
    await uploader.drain();
  } finally {
    uploader.close();
  }
}

/** Sends those of all other pages of work. What may be another annotator's stays for her, for thirty days. */
export async function sendOthers(given, current) {
  for (const work of await given.journal.others(current).catch(() => [])) {
    try {
      const { refused } = await sendLeft(given, work);
      for (const error of refused) console.warn(`events of page ${work} were refused, and stay here:`, error);
    } catch (error) {
      console.warn(`events of page ${work} stay here:`, error);
    }
  }
}

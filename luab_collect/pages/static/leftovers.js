// Events that an earlier tab wrote to this computer's disk and could not send.

import { Uploader } from "./uploader.js";

/** Sends those of a page of work; whether there were any. Raises Stopped when the server refuses them. */
export async function sendLeft({ api, connection, journal }, work, acked = {}) {
  const left = await journal.unsent(work).catch(() => []);
  const unsent = left.filter((event) => event.seq > (acked[event.epoch] ?? 0));
  if (!unsent.length) return false;
  const uploader = new Uploader({ api, connection, journal, work, changed() {}, stopped() {} });
  for (const { epoch, ...event } of unsent) {
    uploader.lane(epoch, acked[epoch] ?? 0);
    uploader.push(epoch, [event]);
  }
  try {
    await uploader.drain();
  } finally {
    uploader.close();
  }
  return true;
}

/** Sends those of all other pages of work. What is refused stays for thirty days: it may be another annotator's. */
export async function sendOthers(given, current) {
  for (const work of await given.journal.others(current).catch(() => [])) {
    await sendLeft(given, work).catch((error) => console.warn(`events of page ${work} stay here:`, error));
  }
}

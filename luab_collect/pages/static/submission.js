// The submission of a page of work all of whose events are with the server.

import { Refused } from "./api.js";

/** Submits it; raises what the server says against it. Until it has answered, the journal keeps the `submit`. */
export async function submitPage({ api, connection, journal }, work, epoch, seq) {
  const forget = () => journal.forget(work).catch(() => {});
  try {
    await connection.persist(() => api.post(`work/${work}/submit`, { epoch, last_seq: seq }));
  } catch (error) {
    if (error instanceof Refused && !error.ofCaller) await forget();
    throw error;
  }
  await forget();
}

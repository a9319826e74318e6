// What the admin's pages ask of the server. The token comes in the address's fragment, once, and stays in this tab.

const KEY = "luab-admin";

/** Takes the token out of the address, so that it is in no bookmark; false: there is none. */
export function takeToken() {
  const match = /^#t=([^&]+)$/.exec(location.hash);
  if (match) {
    sessionStorage.setItem(KEY, decodeURIComponent(match[1]));
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEY) !== null;
}

export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

/** The answer's JSON; throws Refused with the server's reason, or that it cannot be reached. */
export async function ask(path, body) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(KEY)}` };
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`/admin/api/${path}`, {
      method: body ? "POST" : "GET",
      headers,
      body: body ? JSON.stringify(body) : undefined,
      cache: "no-store",
      credentials: "omit",
    });
  } catch {
    throw new Refused(0, "The server cannot be reached: is `luab collect serve` running?");
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, found.reason ?? `The server answered ${answer.status}.`);
  return found;
}

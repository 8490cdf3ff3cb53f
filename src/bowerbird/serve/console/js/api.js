// The server, as functions. A failed answer becomes an Error whose message is for a person.
import { authorization } from "./key.js";

const NO_KEY = "This page needs a key. Open it by the link that “bowerbird serve” printed when it started.";
const NO_WRITING = "The key of this page may read but not post events. A key with the scope “write” may.";

async function call(path, options = {}) {
  let answer, body;
  try {
    answer = await fetch(path, { headers: { "content-type": "application/json", ...authorization() }, ...options });
    body = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error; // also when it strikes while the body arrives
    if (!answer) throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.ok && body) return body;
  if (answer.status === 401) throw new Error(NO_KEY);
  if (answer.status === 403 && path === "/v1/events") throw new Error(NO_WRITING);
  throw new Error(body?.errors?.map((fault) => fault.message).join(" ") || `The server answered ${answer.status}.`);
}

const send = (path, body, signal) => call(path, { method: "POST", body: JSON.stringify(body), signal });
const query = (values) => new URLSearchParams(values).toString();
const id = encodeURIComponent;

export const about = () => call("/v1/about");
export const users = (search, limit, signal) => call(`/v1/users?${query({ search, limit })}`, { signal });
export const history = (user, limit) => call(`/v1/users/${id(user)}/history?${query({ limit })}`);
export const items = (search, limit, signal) => call(`/v1/items?${query({ search, limit })}`, { signal });
export const item = (item) => call(`/v1/items/${id(item)}`);
export const neighbourhood = (item, k) => call(`/v1/items/${id(item)}/neighbourhood?${query({ k })}`);
export const map = () => call("/v1/map");
export const similar = (item, k) => call(`/v1/similar/${id(item)}?${query({ k })}`);
export const recommend = (body, signal) => send("/v1/recommendations", body, signal);
export const post = (events) => send("/v1/events", { events });
export const traffic = (signal) => call("/v1/traffic", { signal });

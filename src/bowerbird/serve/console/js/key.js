// The key of this visit. The link that `bowerbird serve` prints carries it behind the #, which a browser sends to nobody.
// It is taken out of the address at once and kept for this tab only.

const PLACE = "bowerbird.key";

function take() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const key = parts.get("key");
  if (!key) return false;
  sessionStorage.setItem(PLACE, key);
  parts.delete("key");
  history.replaceState(null, "", parts.size ? `#${parts}` : location.pathname + location.search);
  return true;
}

take();
addEventListener("hashchange", () => take() && location.reload()); // a new link opened in an open page

/** The headers that open the server. */
export function authorization() {
  const key = sessionStorage.getItem(PLACE);
  return key ? { authorization: `Bearer ${key}` } : {};
}

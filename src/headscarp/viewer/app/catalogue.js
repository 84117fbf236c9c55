/** Reading the static STAC catalogue: one small JSON at a time, links resolved against the file they stand in. */

const PATIENCE_MS = 30000;

/** Something a visitor must be told; `missing` when the file is not there at all. */
export class PageError extends Error {
  constructor(message, { missing = false } = {}) {
    super(message);
    this.missing = missing;
  }
}

/** The JSON at an address, with `url` it was read from. Throws PageError. */
export async function readJson(url) {
  const response = await reach(url);
  if (!response.ok) {
    const missing = response.status === 404 || response.status === 403;
    throw new PageError(`${fileName(url)} ${missing ? "is not there" : "was refused"} (HTTP ${response.status}).`, {
      missing,
    });
  }
  try {
    return { url, json: await response.json() };
  } catch {
    throw new PageError(`${fileName(url)} is not readable JSON.`);
  }
}

async function reach(url) {
  try {
    return await fetch(url, { cache: "no-cache", signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    const slow = error.name === "TimeoutError";
    const reason = slow ? `no answer within ${PATIENCE_MS / 1000} s` : "no connection, or another site than this one";
    throw new PageError(`${fileName(url)} could not be loaded: ${reason}.`);
  }
}

const fileName = (url) => decodeURIComponent(new URL(url).pathname.split("/").slice(-2).join("/"));

/** Links of one relation, each with an absolute `href`. */
export function links({ url, json }, relation) {
  return (json.links ?? [])
    .filter((link) => link.rel === relation)
    .map((link) => ({ ...link, href: new URL(link.href, url).href }));
}

/** The event catalogues of the whole catalogue as links with `id`, in the catalogue's order. */
export async function listEvents(rootUrl) {
  const root = await readJson(rootUrl);
  const collections = links(root, "child").filter((link) => /\/coseismic-landslides\/collection\.json$/.test(link.href));
  const events = await Promise.all(collections.map(async (link) => links(await readJson(link.href), "child")));
  return events.flat().map((link) => ({ ...link, id: eventId(link.href) }));
}

const eventId = (href) => decodeURIComponent(new URL(href).pathname.split("/").at(-2));

/** One event's catalogue: what it says of the event, and its versions, the latest first. Throws PageError. */
export async function readEvent(link) {
  const catalogue = await readJson(link.href);
  const said = catalogue.json;
  const latest = links(catalogue, "latest-version")[0]?.href ?? null;
  const versions = links(catalogue, "item").map((item) => version(item, latest));
  if (!versions.length) throw new PageError(`Event ${link.id} has no published version yet.`, { missing: true });
  versions.sort((a, b) => Number(b.latest) - Number(a.latest) || b.shakemapTime - a.shakemapTime);
  return {
    id: link.id,
    title: said.title ?? link.title ?? link.id,
    synthetic: said["headscarp:synthetic"] === true,
    withdrawn: said["headscarp:withdrawn"] === true,
    time: said["headscarp:event"]?.time ?? null,
    magnitude: said["headscarp:event"]?.magnitude,
    versions,
  };
}

function version(item, latest) {
  const id = decodeURIComponent(new URL(item.href).pathname.split("/").at(-1).replace(/\.json$/, ""));
  return { href: item.href, id, latest: item.href === latest, shakemapTime: item["headscarp:update_time"] ?? 0 };
}

/** The list of events, newest first. */

import { formatAddress } from "./address.js";
import { badges } from "./badges.js";
import { readEvent } from "./catalogue.js";
import { element, fill } from "./elements.js";
import { magnitude, since, when } from "./words.js";

const PAGE = 40;
const AT_ONCE = 8;

/** Show events given as links, if that is still wanted when they are known; resolves when the first page is complete. */
export async function showList(place, links, wanted) {
  const rows = element("ol", { class: "events", "aria-label": "Events, newest first" });
  const count = links.length === 1 ? "1 earthquake" : `${links.length} earthquakes`;
  const entries = await newestFirst(links);
  if (!wanted()) return;
  fill(place, element("h1", {}, "Earthquake-triggered landslides"), lead(), element("p", { class: "count" }, count), rows);
  await addPage(place, rows, entries);
}

function lead() {
  return element(
    "p",
    { class: "lead" },
    "Where an earthquake has probably set off landslides, mapped minutes after its ShakeMap appears. ",
    element("strong", {}, "These maps are model results, not observations."),
  );
}

/** Links in the order of their quakes; event catalogues are read only where a link does not say its time. */
async function newestFirst(links) {
  const dated = (link) => (link["headscarp:time"] ? { link, time: link["headscarp:time"] } : summarise({ link }));
  const entries = await inTurn(links, dated);
  return entries.sort((a, b) => (Date.parse(b.time) || 0) - (Date.parse(a.time) || 0));
}

/** An entry with what its event catalogue says, or with the reason why that cannot be read. */
async function summarise(entry) {
  if (entry.event || entry.trouble) return entry;
  try {
    const event = await readEvent(entry.link);
    return { ...entry, event, time: event.time };
  } catch (error) {
    return { ...entry, trouble: error.message };
  }
}

/** Work through a list with few requests under way at once; results in order. */
async function inTurn(list, work) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < list.length) {
      const index = next++;
      results[index] = await work(list[index]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

async function addPage(place, rows, entries) {
  const [page, rest] = [entries.slice(0, PAGE), entries.slice(PAGE)];
  rows.append(...(await inTurn(page, summarise)).map(row));
  if (rest.length) place.append(moreButton(place, rows, rest));
}

function moreButton(place, rows, rest) {
  const load = async () => {
    button.remove();
    await addPage(place, rows, rest);
  };
  const button = element("button", { type: "button", class: "more", onclick: load }, `Show more of ${rest.length} older`);
  return button;
}

function row({ link, event, trouble }) {
  const details = trouble ? element("p", { class: "trouble", role: "alert" }, trouble) : detail(event);
  return element(
    "li",
    { class: "event", "data-event": link.id },
    element("span", { class: "magnitude" }, element("abbr", { title: "magnitude" }, "M"), ` ${magnitude(event?.magnitude)}`),
    element("div", {}, heading(link, event), details),
  );
}

/** The badge says SYNTHETIC, so that the title need not. */
function heading(link, event) {
  const title = (event?.title ?? link.title ?? link.id).replace(/^SYNTHETIC /, event?.synthetic ? "" : "$&");
  return element("h2", {}, element("a", { href: formatAddress({ event: link.id }) }, title), event && badges(event));
}

function detail(event) {
  const versions = event.versions.length === 1 ? "1 version" : `${event.versions.length} versions`;
  const time = element("time", { datetime: event.time }, when(event.time));
  return element("p", { class: "detail" }, time, ` (${since(event.time)}) · ${versions}`);
}

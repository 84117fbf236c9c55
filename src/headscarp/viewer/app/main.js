/** Start of the page: follows the address, shows the list or an event, and says what went wrong. */

import { formatAddress, parseAddress } from "./address.js";
import { listEvents, PageError, readEvent } from "./catalogue.js";
import { element, fill } from "./elements.js";
import { EventPage } from "./event.js";
import { hook } from "./hook.js";
import { showList } from "./list.js";
import { preload } from "./pair.js";

const ROOT = new URL("catalog.json", document.baseURI).href;
const RETRY_MS = 15000;

const place = document.getElementById("content");
let page = null;
let turn = 0;
let retry = null;

/** Do what the address says. Whoever moves on meanwhile is not bothered with what comes late. */
async function follow() {
  const mine = ++turn;
  const current = () => mine === turn;
  const address = parseAddress(location.hash);
  hook.ready = false;
  clearTimeout(retry);
  place.setAttribute("aria-busy", "true");
  try {
    await (address.event ? openEvent(address, current) : openList(current));
  } catch (error) {
    if (current()) refuse(error, address);
  }
  if (!current()) return;
  place.removeAttribute("aria-busy");
  hook.ready = true;
}

async function openList(current) {
  leave("list");
  document.title = "headscarp: earthquake-triggered landslides";
  const events = await catalogue();
  if (!current()) return;
  if (events.length) await showList(place, events, current);
  else nothingYet("The catalogue is there, but holds no earthquake yet.");
}

/** Events of the catalogue; none where nothing has been published at all. */
async function catalogue() {
  try {
    return await listEvents(ROOT);
  } catch (error) {
    if (error instanceof PageError && error.missing) return [];
    throw error;
  }
}

function nothingYet(text) {
  fill(
    place,
    element("h1", {}, "Earthquake-triggered landslides"),
    element("p", { class: "notice", role: "status" }, `Nothing has been published here yet. ${text} This page looks again by itself.`),
  );
  retry = setTimeout(follow, RETRY_MS);
}

async function openEvent(address, current) {
  if (page?.id !== address.event) {
    leave("event");
    preload();
    const link = (await listEvents(ROOT)).find(({ id }) => id === address.event);
    if (!link) throw new PageError(`This catalogue has no event “${address.event}”.`);
    const event = await readEvent(link);
    if (!current()) return;
    page = new EventPage(place, link, event);
  }
  hook.view = "event";
  await page.show(address);
}

function leave(view) {
  page?.close();
  page = null;
  hook.view = view;
  hook.product = null;
  fill(place, element("p", { class: "loading", role: "status" }, "Loading…"));
}

function refuse(error, address) {
  leave("error");
  const expected = error instanceof PageError;
  if (!expected) console.error(error);
  const text = expected ? error.message : `The page met something it does not understand: ${error.message}`;
  fill(
    place,
    element("div", { class: "trouble", role: "alert" }, element("h1", {}, "This cannot be shown"), element("p", {}, text)),
    element(
      "p",
      { class: "buttons" },
      element("button", { type: "button", onclick: follow }, "Try again"),
      address.event ? element("a", { href: formatAddress({}) }, "All earthquakes") : null,
    ),
  );
}

window.addEventListener("hashchange", follow);
follow();

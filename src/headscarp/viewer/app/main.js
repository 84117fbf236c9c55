/** Start of the page: follows the address, shows the list or an event, and says what went wrong. */

import { formatAddress, parseAddress } from "./address.js";
import { listEvents, PageError } from "./catalogue.js";
import { element, fill } from "./elements.js";
import { EventPage } from "./event.js";
import { hook } from "./hook.js";
import { showList } from "./list.js";

const ROOT = new URL("catalog.json", document.baseURI).href;
const RETRY_MS = 15000;

const place = document.getElementById("content");
let page = null;
let turn = 0;
let retry = null;

async function follow() {
  const mine = ++turn;
  const address = parseAddress(location.hash);
  hook.ready = false;
  clearTimeout(retry);
  place.setAttribute("aria-busy", "true");
  try {
    await (address.event ? openEvent(address) : openList());
  } catch (error) {
    if (mine === turn) refuse(error, address);
  }
  if (mine !== turn) return;
  place.removeAttribute("aria-busy");
  hook.ready = true;
}

async function openList() {
  leave("list");
  document.title = "headscarp: earthquake-triggered landslides";
  const events = await catalogue();
  if (events.length) await showList(place, events);
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

async function openEvent(address) {
  if (page?.id !== address.event) {
    leave("event");
    const link = (await listEvents(ROOT)).find(({ id }) => id === address.event);
    if (!link) throw new PageError(`This catalogue has no event “${address.event}”.`);
    page = await EventPage.open(place, link);
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

/** Legends, as the tile archives themselves carry them: colours and words cannot drift apart from the tiles. */

import { element } from "./elements.js";

/** The legend in an archive's metadata, its colours as numbers; null where it has none. */
export function legendOf(metadata) {
  const { title, note, entries } = metadata?.legend ?? {};
  if (!Array.isArray(entries)) return null;
  return { title, note, classes: entries.map((entry) => ({ ...entry, rgb: numbers(entry.color) })) };
}

const numbers = (color) => [1, 3, 5].map((start) => Number.parseInt(color.slice(start, start + 2), 16));

/** The legends of the maps on show, given as [name, legend], and what the absence of colour may mean. */
export function legends(named, silences) {
  const known = named.filter(([, legend]) => legend);
  const blocks = known.map(([name, legend]) => block(known.length > 1 ? `${name}: ${legend.title}` : legend.title, legend));
  return element("section", { class: "legend", "aria-label": "Legend" }, blocks, marks(silences));
}

function block(title, { note, classes }) {
  const rows = [...classes].reverse().map((entry) => line(swatch(entry), entry.label));
  return [element("h2", {}, title), element("ul", {}, rows), element("p", { class: "note" }, note)];
}

function marks(silences) {
  return element(
    "ul",
    {},
    line(element("span", { class: "swatch clear" }), clear(silences)),
    line(element("span", { class: "swatch edge" }), "Edge of the modelled area"),
    line(element("span", { class: "swatch star" }), "Epicentre"),
  );
}

/** Without colour lie values below the lowest class and the places that have no value. */
function clear(silences) {
  const reasons = ["value below the lowest class", ...silences].map((reason) => element("li", {}, reason));
  return ["No colour, one of:", element("ul", {}, reasons)];
}

const line = (sign, words) => element("li", {}, sign, element("div", {}, words));

function swatch({ rgb, opacity }) {
  const made = element("span", { class: "swatch" });
  made.style.backgroundColor = `rgb(${rgb.join(" ")} / ${opacity})`;
  return made;
}

/** What a looked-up class says. */
export function reading(found) {
  if (found === null) return "a colour that is not in the legend";
  return found === "none" ? "no colour" : found.label;
}

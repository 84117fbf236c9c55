/** Legends, as the tile archives themselves carry them: colours and words cannot drift apart from the tiles. */

import { element } from "./elements.js";

const LOW = "value below the lowest class";

/** The legend in an archive's metadata, its colours as numbers; null where it has none. */
export function legendOf(metadata) {
  const { title, note, entries } = metadata?.legend ?? {};
  if (!Array.isArray(entries)) return null;
  return { title, note, classes: entries.map((entry) => ({ ...entry, rgb: numbers(entry.color) })) };
}

const numbers = (color) => [1, 3, 5].map((start) => Number.parseInt(color.slice(start, start + 2), 16));

/**
 * The legends of the maps on show, given as [name, legend], and what the absence of colour may mean:
 * in the shades of the ground, or in the item's words alone where the version has no such tiles.
 */
export function legends(named, ground, silences) {
  const known = named.filter(([, legend]) => legend);
  const blocks = known.map(([name, legend]) => block(known.length > 1 ? `${name}: ${legend.title}` : legend.title, legend));
  return element("section", { class: "legend", "aria-label": "Legend" }, blocks, marks(ground ? shades(ground) : clear(silences)));
}

function block(title, { note, classes }) {
  const rows = [...classes].reverse().map((entry) => line(swatch(entry), entry.label));
  return [element("h2", {}, title), element("ul", {}, rows), element("p", { class: "note" }, note)];
}

function marks(uncoloured) {
  return element(
    "ul",
    {},
    uncoloured,
    line(element("span", { class: "swatch edge" }), "Edge of the modelled area"),
    line(element("span", { class: "swatch star" }), "Epicentre"),
  );
}

/** Without colour lie values below the lowest class and the places that have no value. */
function clear(silences) {
  const reasons = [LOW, ...silences].map((reason) => element("li", {}, reason));
  return line(element("span", { class: "swatch clear" }), ["No colour, one of:", element("ul", {}, reasons)]);
}

/** What is drawn beneath the maps; first the values that are there and too low to be drawn. */
function shades({ classes }) {
  const valid = classes.filter(({ name }) => name === "valid").map((entry) => ({ ...entry, label: `${entry.label}: ${LOW}` }));
  const others = classes.filter(({ name }) => name !== "valid");
  const rows = [...valid, ...others].map((entry) => line(swatch(entry), entry.label));
  return element("li", {}, element("div", {}, "No colour, one of:", element("ul", { class: "shades" }, rows)));
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

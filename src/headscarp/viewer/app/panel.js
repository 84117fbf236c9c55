/** The panel beside the map: facts and downloads of one product. */

import { element, fact, link } from "./elements.js";
import { listed, place, plain, quantity, since, when } from "./words.js";

/** Title and time of the quake. */
export function headline(title, product) {
  return [
    element("h1", {}, title),
    element("p", { class: "detail" }, element("time", { datetime: product.time }, when(product.time)), ` · ${since(product.time)}`),
  ];
}

/** What the map was made from, as a description list. */
export function facts(product) {
  return element(
    "dl",
    { class: "facts" },
    fact("What it is", "A model result, not an observation. ", meaning(product)),
    fact("ShakeMap", shakemapWords(product)),
    fact("Models", element("ul", {}, product.models.map((model) => element("li", {}, modelWords(model))))),
    fact("Missing input", missingWords(product)),
    fact("Epicentre", product.epicentre && place(product.epicentre)),
    fact("Depth", quantity(product.depth, "km")),
    fact("Peak acceleration", quantity(product.peakPga, "g")),
    fact("Land modelled", quantity(product.landKm2, "km²")),
    fact("Made", product.created && when(product.created)),
    fact("Time taken", timings(product)),
  );
}

function meaning({ quantity: kind }) {
  if (kind === "score") {
    return "Colours show an uncalibrated score from 0 to 1: it ranks places by how likely landslides are, and is no probability.";
  }
  return "Colours show coverage: the modelled share of a place's area that landslides have reached.";
}

function shakemapWords({ shakemap }) {
  if (!shakemap) return null;
  const { source, code, shakemap_version: version, update_time: time } = shakemap;
  return `${source} ${code}${version ? `, version ${version}` : ""}, updated ${when(time)}`;
}

function modelWords({ name, version, quantity: kind, published, degraded = [] }) {
  const words = kind === "score" ? "uncalibrated score" : "areal coverage";
  const without = degraded.length ? `, degraded: it wants ${listed(degraded.map(plain))}` : "";
  return `${plain(name)} ${version} (${words})${without}${published ? ", shown as “This map”" : ""}`;
}

function missingWords({ missing }) {
  if (!missing.length) return "none";
  const items = missing.map(({ channel, reason }) =>
    element("li", {}, element("strong", {}, plain(channel)), reason ? `: ${reason}` : ""),
  );
  return element("ul", {}, items);
}

function timings({ timings: stages }) {
  if (!stages.length) return null;
  const total = stages.reduce((sum, [, seconds]) => sum + seconds, 0);
  const rows = stages.map(([stage, seconds]) =>
    element("tr", {}, element("th", { scope: "row" }, plain(stage)), element("td", {}, quantity(seconds, "s"))),
  );
  return element(
    "details",
    {},
    element("summary", {}, `${quantity(total, "s")} in ${stages.length} stages`),
    element("table", { class: "timings" }, element("tbody", {}, rows)),
  );
}

/** Every asset and the machine-readable descriptions. */
export function downloads(product) {
  const files = product.assets.map(({ href, title, kind }) =>
    element("li", {}, link(href, { download: true }, title), element("span", { class: "kind" }, kind)),
  );
  const item = element("li", {}, link(product.url, {}, "This version in the catalogue"), element("span", { class: "kind" }, "STAC item"));
  const more = product.pages.map(({ href, title }) => element("li", {}, link(href, { rel: "noopener" }, title)));
  return element("section", { class: "downloads" }, element("h2", {}, "Data"), element("ul", {}, files, item, more));
}

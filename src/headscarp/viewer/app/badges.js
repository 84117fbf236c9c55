/** What must never be overlooked, in words: as small badges and as full-width banners. */

import { element, link } from "./elements.js";

/** Badges beside a title. */
export function badges({ synthetic, withdrawn }) {
  return [synthetic && badge("synthetic", "SYNTHETIC"), withdrawn && badge("withdrawn", "WITHDRAWN")];
}

const badge = (kind, text) => element("span", { class: `badge ${kind}` }, text);

/** Banners over a map; `latest` is the address of the newest version when another is shown. */
export function banners(product, latest) {
  return [
    product.synthetic &&
      banner("synthetic", "SYNTHETIC", "This earthquake never happened. Terrain, shaking and landslides are computed for tests."),
    product.withdrawn &&
      banner("withdrawn", "WITHDRAWN", "The agency that reported this earthquake has deleted it. Do not use this map."),
    product.superseded &&
      banner("superseded", "SUPERSEDED", "A newer version of this map exists. ", latest && link(latest, {}, "Show the latest version")),
    product.cut &&
      banner("note", "CUT OFF", "The ShakeMap ends before the shaking does: landslides beyond its edge are not mapped."),
  ];
}

function banner(kind, word, ...text) {
  return element("div", { class: `banner ${kind}`, role: "note" }, element("strong", {}, word), element("span", {}, ...text));
}

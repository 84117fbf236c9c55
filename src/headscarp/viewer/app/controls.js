/** What a visitor can change: version, comparison, opacity, camera. */

import { element } from "./elements.js";
import { when } from "./words.js";

/** Controls of an event page for the version on show. */
export function controls(page, version) {
  return [
    field("version", "Version and time of its ShakeMap", versionChoice(page, version)),
    field("opacity", "Opacity", opacityRange(page)),
    element("div", { class: "buttons" }, compareButton(page), fitButton(page)),
  ];
}

function field(id, name, control) {
  control.id = id;
  return element("div", { class: "field" }, element("label", { for: id }, name), control);
}

function versionChoice(page, shown) {
  const count = page.event.versions.length;
  const options = page.event.versions.map((version, index) => {
    const place = `${count - index} of ${count}, ${index === 0 ? "latest" : "superseded"}`;
    const words = version.shakemapTime ? `${place} · ${when(version.shakemapTime)}` : place;
    return element("option", { value: version.id, selected: version.id === shown.id }, words);
  });
  return element("select", { onchange: (change) => page.go({ version: change.target.value }) }, options);
}

function opacityRange(page) {
  const range = { type: "range", min: "0", max: "100", step: "5", value: Math.round(page.opacity * 100) };
  return element("input", { ...range, oninput: (change) => page.setOpacity(Number(change.target.value) / 100) });
}

function compareButton(page) {
  const { compare } = page.address;
  const available = page.product.usgsTiles !== null;
  const toggle = { type: "button", "aria-pressed": String(compare), disabled: !available, class: "compare" };
  const name = available ? "Compare with USGS" : "No USGS model";
  return element("button", { ...toggle, onclick: () => page.go({ compare: !compare }) }, name);
}

function fitButton(page) {
  return element("button", { type: "button", class: "fit", onclick: () => page.go({ camera: null }) }, "Whole area");
}

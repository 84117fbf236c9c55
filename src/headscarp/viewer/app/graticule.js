/** Meridians and parallels with their labels: the only background there is, so nothing is asked of other sites. */

import { element } from "./elements.js";

const STEPS = [30, 15, 10, 5, 2, 1, 1 / 2, 1 / 4, 1 / 6, 1 / 12, 1 / 30, 1 / 60];
const PIXELS_APART = 90;

/** Keeps the source `graticule` of a map and its labels in step with the view. */
export function attachGraticule(map) {
  const labels = element("div", { class: "graticule-labels", "aria-hidden": "true" });
  map.getContainer().append(labels);
  const draw = () => {
    const { step, meridians, parallels } = linesOf(map.getBounds(), map.getContainer().clientWidth);
    map.getSource("graticule")?.setData(asGeoJson(meridians, parallels));
    placeLabels(map, labels, { step, meridians, parallels });
  };
  map.on("load", draw);
  map.on("move", draw);
  map.on("resize", draw);
}

function linesOf(bounds, width) {
  const wanted = Math.max(1, width / PIXELS_APART);
  const [west, east] = [bounds.getWest(), bounds.getEast()];
  const [south, north] = [Math.max(bounds.getSouth(), -85), Math.min(bounds.getNorth(), 85)];
  const step = STEPS.findLast((size) => (east - west) / size <= wanted) ?? STEPS[0];
  return { step, meridians: multiples(west, east, step), parallels: multiples(south, north, step) };
}

function multiples(low, high, step) {
  const first = Math.ceil(low / step);
  const count = Math.max(0, Math.floor(high / step) - first + 1);
  return Array.from({ length: count }, (_, index) => (first + index) * step);
}

function asGeoJson(meridians, parallels) {
  const span = meridians.length ? [meridians[0] - 60, meridians.at(-1) + 60] : [-180, 180];
  const lines = [
    ...meridians.map((lon) => [[lon, -85], [lon, 85]]),
    ...parallels.map((lat) => [[span[0], lat], [span[1], lat]]),
  ];
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } };
}

function placeLabels(map, labels, { step, meridians, parallels }) {
  const { clientWidth: width, clientHeight: height } = map.getContainer();
  const center = map.getCenter();
  const along = meridians.map((lon) => {
    const x = map.project([lon, center.lat]).x;
    return x > 50 && x < width - 50 ? label(degrees(wrap(lon), "E", "W", step), "meridian", `${x}px`, "left") : null;
  });
  const up = parallels.map((lat) => {
    const y = map.project([center.lng, lat]).y;
    return y > 30 && y < height - 40 ? label(degrees(lat, "N", "S", step), "parallel", `${y}px`, "top") : null;
  });
  labels.replaceChildren(...[...along, ...up].filter(Boolean));
}

function label(text, kind, offset, side) {
  const made = element("span", { class: kind }, text);
  made.style[side] = offset;
  return made;
}

const wrap = (lon) => ((((lon + 180) % 360) + 360) % 360) - 180;

function degrees(value, positive, negative, step) {
  const minutes = Math.round(Math.abs(value) * 60);
  const [whole, rest] = [Math.floor(minutes / 60), minutes % 60];
  const side = minutes === 0 ? "" : ` ${value < 0 ? negative : positive}`;
  return step < 1 ? `${whole}°${String(rest).padStart(2, "0")}′${side}` : `${whole}°${side}`;
}

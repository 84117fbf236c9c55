/** One map: plain ground, modelled area, tiles of one raster over those of its status, graticule, epicentre. */

import * as maplibre from "../vendor/maplibre-gl.mjs";
import { element } from "./elements.js";
import { attachGraticule } from "./graticule.js";

const { PMTiles, Protocol } = globalThis.pmtiles;
const protocol = new Protocol();
maplibre.addProtocol("pmtiles", protocol.tile);

const EMPTY = { type: "FeatureCollection", features: [] };
const PADDING = { padding: 36, maxZoom: 13, animate: false };

/** A map in a container; `name` is what screen readers say. */
export function makeMap(container, { name, camera, bounds }) {
  const map = new maplibre.Map({
    container,
    style: groundStyle(),
    ...(camera ?? { bounds: unwrapped(bounds), fitBoundsOptions: PADDING }),
    attributionControl: false,
    dragRotate: false,
    touchPitch: false,
    pitchWithRotate: false,
    maxPitch: 0,
    maxZoom: 17,
    fadeDuration: 0,
    locale: { "Map.Title": name },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibre.ScaleControl({ maxWidth: 120, unit: "metric" }), "bottom-right");
  loading.set(map, new Promise((done) => map.once("load", done)));
  attachGraticule(map);
  return map;
}

function groundStyle() {
  return {
    version: 8,
    sources: { graticule: { type: "geojson", data: EMPTY }, domain: { type: "geojson", data: EMPTY } },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": "#dfe5ea" } },
      { id: "domain", type: "fill", source: "domain", paint: { "fill-color": "#ffffff", "fill-antialias": false } },
      { id: "graticule", type: "line", source: "graticule", paint: { "line-color": "#b4bec7", "line-width": 0.75 } },
      {
        id: "domain-edge",
        type: "line",
        source: "domain",
        paint: { "line-color": "#4a5a68", "line-width": 1.25, "line-dasharray": [4, 3] },
      },
    ],
  };
}

const loading = new WeakMap();

/** Resolves when the map's style can be changed. */
const loaded = (map) => loading.get(map);

/** Show one PMTiles raster in place of what was shown; rejects when its archive cannot be read. */
export async function showTiles(map, id, url, { opacity, beneath = ["graticule"] }) {
  const archive = protocol.get(url) ?? new PMTiles(url);
  const header = await archive.getHeader();
  protocol.add(archive);
  await loaded(map);
  hideTiles(map, id);
  const tiles = [`pmtiles://${url}/{z}/{x}/{y}`];
  const sizes = { tileSize: 256, minzoom: header.minZoom, maxzoom: header.maxZoom };
  map.addSource(id, { type: "raster", tiles, ...sizes });
  const above = beneath.find((layer) => map.getLayer(layer));
  map.addLayer({ id, type: "raster", source: id, paint: rasterPaint(opacity) }, above);
  return archive;
}

function rasterPaint(opacity) {
  return { "raster-opacity": opacity, "raster-resampling": "nearest", "raster-fade-duration": 0 };
}

/** Remove a raster if it is there. */
export function hideTiles(map, id) {
  if (map.getLayer(id)) map.removeLayer(id);
  if (map.getSource(id)) map.removeSource(id);
}

/** Outline of what was modelled. */
export async function showDomain(map, geometry) {
  await loaded(map);
  map.getSource("domain").setData(geometry ? { type: "Feature", properties: {}, geometry } : EMPTY);
}

const stars = new WeakMap();

/** A star at the epicentre, in place of the one before. */
export function mark(map, position) {
  stars.get(map)?.remove();
  if (!position) return;
  const star = element("div", { class: "epicentre", role: "img", "aria-label": "Epicentre", title: "Epicentre" });
  stars.set(map, new maplibre.Marker({ element: star }).setLngLat(position).addTo(map));
}

/** Move the camera to a bounding box. */
export function fitTo(map, bounds) {
  map.fitBounds(unwrapped(bounds), PADDING);
}

/** West, south, east, north with the east beyond 180 where the box crosses the antimeridian. */
function unwrapped(bounds) {
  const [west, south, east, north] = bounds.length === 6 ? [0, 1, 3, 4].map((index) => bounds[index]) : bounds;
  return [west, south, east < west ? east + 360 : east, north];
}

/** Two maps with one camera; returns a function that parts them. */
export function synchronise(first, second) {
  let busy = false;
  const follow = (leader, follower) => () => {
    if (busy) return;
    busy = true;
    follower.jumpTo({ center: leader.getCenter(), zoom: leader.getZoom() });
    busy = false;
  };
  const [onFirst, onSecond] = [follow(first, second), follow(second, first)];
  first.on("move", onFirst);
  second.on("move", onSecond);
  onFirst();
  return () => first.off("move", onFirst);
}

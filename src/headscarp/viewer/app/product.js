/** What the page understands of a STAC item: the only place that knows the names of its properties. */

import { PageError } from "./catalogue.js";

const KINDS = {
  "image/tiff; application=geotiff; profile=cloud-optimized": "Cloud-optimised GeoTIFF",
  "application/vnd.pmtiles": "PMTiles",
  "application/json": "JSON",
  "application/geo+json": "GeoJSON",
  "image/png": "PNG",
};
const PAGE_RELATIONS = ["via", "related"];

/** The product an item describes. Throws PageError where it lacks what every item must have. */
export function describe({ url, json: item }) {
  const { properties: said, assets } = item;
  if (!said || !assets || !Array.isArray(item.bbox)) throw new PageError(`${item.id ?? url} is not a complete STAC item.`);
  const own = (name) => said[`headscarp:${name}`];
  const models = (own("models") ?? []).map((model) => ({ ...model, published: model.asset === "hazard" }));
  return {
    id: item.id,
    url,
    title: said.title ?? item.id,
    time: said.datetime,
    created: said.created ?? null,
    magnitude: said["eq:magnitude"],
    depth: said["eq:depth"],
    epicentre: own("epicentre") ?? null,
    bounds: item.bbox,
    geometry: item.geometry,
    synthetic: own("synthetic") === true,
    withdrawn: own("withdrawn") === true,
    superseded: said.deprecated === true,
    cut: own("cut_by_shakemap_edge") === true,
    shakemap: own("shakemap") ?? null,
    models,
    quantity: models.find(({ published }) => published)?.quantity ?? null,
    silences: silences(assets.status),
    missing: missing(own("missing")),
    peakPga: own("peak_pga"),
    landKm2: own("land_km2"),
    timings: Object.entries(own("timings") ?? {}),
    tiles: address(assets.tiles, url),
    usgsTiles: address(assets.usgs_tiles, url),
    statusTiles: address(assets.status_tiles, url),
    assets: Object.entries(assets).map(([key, asset]) => download(key, asset, url)),
    pages: (item.links ?? []).filter(({ rel }) => PAGE_RELATIONS.includes(rel)).map((link) => page(link, url)),
  };
}

const DRAWN = ["valid", "out_of_domain"];

/** Why places may have no value, in the words of the status raster. */
function silences(status) {
  const classes = status?.["classification:classes"] ?? [];
  return classes.filter(({ name }) => !DRAWN.includes(name)).map(({ description }) => description);
}

const address = (asset, url) => (asset ? new URL(asset.href, url).href : null);

function missing(channels) {
  return Object.entries(channels ?? {}).map(([channel, reason]) => ({ channel, reason }));
}

function download(key, asset, url) {
  return { href: address(asset, url), title: asset.title ?? key, kind: KINDS[asset.type] ?? asset.type ?? "" };
}

function page({ href, rel, title }, url) {
  return { href: new URL(href, url).href, title: title ?? rel };
}

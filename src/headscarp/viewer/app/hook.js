/**
 * What tests and curious people may read, as `window.__headscarp`:
 *
 * - view        "start", "list", "event" or "error"
 * - ready       true once what the address asks for is drawn, or refused with a message
 * - map         the MapLibre map of the hazard, null without one
 * - compareMap  the MapLibre map of the USGS model while both are shown
 * - product     what the page understood of the STAC item on show
 *
 * Nothing in the page reads it back.
 */
export const hook = { view: "start", ready: false, map: null, compareMap: null, product: null };
window.__headscarp = hook;

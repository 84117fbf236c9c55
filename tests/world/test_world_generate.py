"""A world looks like mountains, repeats itself from its seed, and slides as its probabilities say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headscarp.core.grid import utm_crs
from headscarp.world.generate import World, make_world
from headscarp.world.quake import on_grid_ln
from headscarp.world.settings import ALLUVIUM, CORVANE, ORREST, REGIONS, TELDRIS, WorldSettings
from headscarp.world.terrain import slope_degrees

SHAPE = (160, 192)


@pytest.fixture(scope="module", params=REGIONS, ids=[settings.code for settings in REGIONS])
def world(request: pytest.FixtureRequest) -> World:
    settings: WorldSettings = request.param
    return make_world(1, settings=settings, shape=SHAPE)


def rasters(world: World) -> dict[str, np.ndarray]:
    names = ["elevation", "land", "lithology", "soil", "land_cover", "ndvi", "probability", "landslides"]
    return {name: getattr(world, name) for name in names}


def test_equal_seeds_equal_worlds(world: World) -> None:
    again = make_world(world.seed, settings=world.settings, shape=SHAPE)
    for name, values in rasters(world).items():
        np.testing.assert_array_equal(values, getattr(again, name), err_msg=name)
    assert again.event == world.event
    np.testing.assert_array_equal(again.shaking.pga, world.shaking.pga)
    np.testing.assert_array_equal(again.shaking_early.pga, world.shaking_early.pga)


def test_seeds_and_regions_differ() -> None:
    one, other = make_world(1, shape=(64, 64)), make_world(2, shape=(64, 64))
    elsewhere = make_world(1, settings=ORREST, shape=(64, 64))
    assert len({w.event.id for w in (one, other, elsewhere)}) == 3
    assert not np.array_equal(one.elevation, other.elevation, equal_nan=True)
    assert not np.array_equal(one.elevation, elsewhere.elevation, equal_nan=True)


def test_a_region_may_change_its_rocks_and_keep_its_land() -> None:
    """Strengths are swapped without touching terrain: what a test of out-of-domain flags needs."""
    weak = tuple(replace(rock, cohesion=rock.cohesion * 0.7) for rock in CORVANE.rocks)
    one = make_world(4, shape=(96, 96))
    other = make_world(4, settings=replace(CORVANE, rocks=weak), shape=(96, 96))
    np.testing.assert_array_equal(one.elevation, other.elevation)
    np.testing.assert_array_equal(one.shaking.pga, other.shaking.pga)
    assert other.probability.sum() > 1.3 * one.probability.sum()


def test_the_event_says_it_is_made_up(world: World) -> None:
    event = world.event
    assert event.synthetic
    assert event.id.startswith("syn") and event.id in event.ids
    assert event.time.tzinfo is not None
    assert world.grid.crs.to_epsg() == utm_crs(event.longitude, event.latitude).to_epsg()


def test_slopes_are_those_of_mountains(world: World) -> None:
    slope = world.hillslopes.slope
    p5, p50, p95 = np.percentile(slope, [5, 50, 95])
    assert 20.0 <= p50 <= 37.0
    assert p95 <= 50.0
    assert p50 - p5 > 5.0
    complete = np.isfinite(world.elevation[world.land])
    mapped = slope_degrees(world.elevation, 30.0)[world.land]
    both = complete & np.isfinite(mapped)
    np.testing.assert_allclose(mapped[both], slope[both], atol=1e-3)


def test_water_reaches_the_edge(world: World) -> None:
    """All land drains: hollows are few and shallow."""
    from headscarp.world.rivers import drain

    base = ~world.land if (~world.land).any() else np.zeros_like(world.land)
    base[:, :4] = True
    elevation = np.nan_to_num(world.elevation, nan=float(np.nanmedian(world.elevation)))
    complete = np.isfinite(world.elevation)
    raised = drain(elevation.astype(float), base).filled.reshape(elevation.shape) - elevation
    assert (raised[complete & world.land] > 3.0).mean() < 0.02


def test_masks_are_exercised(world: World) -> None:
    void = world.land & np.isnan(world.elevation)
    unmapped = world.land & (world.lithology == 0)
    cloud = world.land & np.isnan(world.ndvi)
    for gap in (void, unmapped, cloud):
        assert 0.0 < gap.sum() / world.land.sum() < 0.1
    assert world.land.mean() > 0.6
    if world.settings.sea:
        assert 0.02 < (~world.land).mean() < 0.4
        assert (world.elevation[~world.land & np.isfinite(world.elevation)] < 0).all()
    else:
        assert world.land.all()
    assert (world.elevation[world.land & ~void] > 0).all()


def test_no_gaps_on_request() -> None:
    whole = make_world(1, settings=replace(TELDRIS, gaps=False), shape=(96, 96))
    assert np.isfinite(whole.elevation).all() and np.isfinite(whole.ndvi).all() and (whole.lithology > 0).all()


def test_codes_belong_to_their_legends(world: World) -> None:
    from headscarp.tables.legends import GLIM, WORLDCOVER, WRB

    rocks = {rock.code for rock in world.settings.rocks}
    assert set(np.unique(world.lithology)) <= rocks | {ALLUVIUM.code, 0} <= set(GLIM) | {0}
    assert set(np.unique(world.soil)) <= set(WRB) | {0}
    assert set(np.unique(world.land_cover)) <= set(WORLDCOVER)
    assert len(np.unique(world.land_cover)) >= 4


def test_prevalence_is_that_of_real_inventories() -> None:
    shares = [make_world(seed, settings=s, shape=(256, 256)).prevalence for s in REGIONS for seed in (0, 1)]
    assert 0.005 <= np.median(shares) <= 0.06
    assert min(shares) >= 0.003
    assert max(shares) <= 0.08


def test_nothing_slides_at_sea_or_on_flat_ground(world: World) -> None:
    assert (world.probability[~world.land] == 0).all()
    assert not world.landslides[~world.land].any()
    assert world.hillslopes.on_grid(world.hillslopes.slope < 5.0)[world.landslides].sum() == 0
    assert ((world.probability >= 0) & (world.probability <= 0.335)).all()


def test_landslides_are_patches(world: World) -> None:
    """A slide's neighbour is far more often a slide than any pixel is."""
    slides = world.landslides
    share = (slides[:, 1:] & slides[:, :-1]).sum() / slides[:, :-1].sum()
    assert share > 8 * world.prevalence


def test_shakemap_covers_the_grid(world: World) -> None:
    outer, inner = world.shaking.grid.boundingbox, world.grid.geographic_extent.boundingbox
    step = 1.0 / 60.0
    assert outer.left + step / 2 <= inner.left and outer.right - step / 2 >= inner.right
    assert outer.bottom + step / 2 <= inner.bottom and outer.top - step / 2 >= inner.top
    for name in ("pga", "pgv", "vs30", "pga_ln_std", "pgv_ln_std"):
        values = getattr(world.shaking, name)
        assert values.shape == world.shaking.grid.shape
        assert (values > 0).all(), name
    assert 0.1 < world.shaking.peak_pga < 1.5


def test_the_final_shakemap_is_the_median_of_what_slopes_felt(world: World) -> None:
    ln_pga = on_grid_ln(world.shaking.pga, world.shaking.grid, world.grid)[world.land]
    amplified = world.hillslopes.ln_pga - ln_pga
    assert np.abs(amplified).max() <= 2.0 * world.settings.ridge_amplification + 1e-6
    assert world.shaking.pga_ln_std is not None and world.shaking_early.pga_ln_std is not None
    assert float(world.shaking.pga_ln_std.mean()) == pytest.approx(world.hillslopes.within_std)
    assert world.shaking_early.pga_ln_std.min() > world.shaking.pga_ln_std.max()
    assert world.shaking_early.attributes["version"] != world.shaking.attributes["version"]


def test_on_grid_ln_is_bilinear_in_ln() -> None:
    """A field whose ln is linear in longitude and latitude comes back exactly."""
    world = make_world(0, shape=(64, 64))
    grid = world.shaking.grid
    rows, cols = grid.shape
    lon = grid.transform.c + (np.arange(cols) + 0.5) * grid.transform.a
    lat = grid.transform.f + (np.arange(rows) + 0.5) * grid.transform.e
    values = np.exp(3.0 * (lon[None, :] + 27.0) - 2.0 * (lat[:, None] - 47.5))
    found = on_grid_ln(values.astype(np.float32), grid, world.grid)
    from pyproj import Transformer

    x, y = world.grid.transform * (10.5, 50.5)
    at_lon, at_lat = Transformer.from_crs(32626, 4326, always_xy=True).transform(x, y)
    assert found[50, 10] == pytest.approx(3.0 * (at_lon + 27.0) - 2.0 * (at_lat - 47.5), abs=1e-5)


def test_a_world_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 64 x 64 pixels, not 40 x 80"):
        make_world(0, shape=(40, 80))


def test_a_region_needs_rocks() -> None:
    with pytest.raises(ValueError, match="has no rocks"):
        make_world(0, settings=replace(CORVANE, rocks=()), shape=(64, 64))

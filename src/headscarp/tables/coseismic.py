"""The control indicators of landslides set off by an earthquake: all 17 of the paper, as rows.

The paper is https://doi.org/10.1093/nsr/nwaf179. Halos hold for pixels of up to 90 m: a window of n
pixels is given its reach there. Precisions are well below what the sources know (Copernicus DEM:
4 m) and what a model can use; roughness, PGA and PGV, of which the logarithm is taken, stay float32.
"""

from __future__ import annotations

from headscarp.core.pci.table import Row, Table

_SHAKEMAP = "Worden et al. (2020), ShakeMap manual, https://doi.org/10.5066/F7D21VPQ"
_DEM = "Copernicus DEM GLO-30, https://doi.org/10.5270/ESA-c5d3d65"
_HORN = "Horn (1981), https://doi.org/10.1109/PROC.1981.11918"
_CURVATURE = "Mitasova and Hofierka (1993), https://doi.org/10.1007/BF00893171; Evans (1980)"
_WETNESS = "Beven and Kirkby (1979), https://doi.org/10.1080/02626667909491834"
_FLOW = "Barnes et al. (2014), https://doi.org/10.1016/j.cageo.2013.04.024"
_EDT = "Felzenszwalb and Huttenlocher (2012), https://doi.org/10.4086/toc.2012.v008a019"
_FAULTS = "Styron and Pagani (2020), https://doi.org/10.1177/8755293020944182"
_NO_DEM = "nodata where the elevation is missing"
_OFF_MAP = "nodata outside the ShakeMap"
_UNCERTAIN = "nodata where the ShakeMap gives no uncertainty"

_SUPPORT = (
    Row(
        name="elevation", long_name="elevation above the geoid, sea clamped to 0", units="m", role="support",
        source="dem", resampling="bilinear", valid=(-500.0, 9000.0), precision=0.3, cite=_DEM,
    ),
    Row(
        name="land", long_name="land (1) or sea (0)", units="1", role="support",
        source="dem.sea", resampling="nearest", valid=(0.0, 1.0), precision=1.0, missing=_NO_DEM, cite=_DEM,
    ),
    Row(
        name="pga_ln_std", long_name="standard deviation of ln PGA", units="ln", per="event", role="support",
        source="shaking.pga_ln_std", resampling="bilinear", valid=(0.0, 3.0), precision=5e-5,
        missing=_UNCERTAIN, cite=_SHAKEMAP,
    ),
    Row(
        name="pgv_ln_std", long_name="standard deviation of ln PGV", units="ln", per="event", role="support",
        source="shaking.pgv_ln_std", resampling="bilinear", valid=(0.0, 3.0), precision=5e-5,
        missing=_UNCERTAIN, cite=_SHAKEMAP,
    ),
    Row(
        name="vs30", long_name="shear-wave velocity of the top 30 m", units="m s-1", per="event", role="support",
        source="shaking.vs30", resampling="bilinear_ln", valid=(50.0, 4000.0), precision=0.1, missing=_OFF_MAP,
        transform="ln", cite=_SHAKEMAP,
    ),
)  # fmt: skip

_TERRAIN = (
    Row(
        name="slope", long_name="slope", units="degree", kernel="terrain", inputs=("elevation",),
        halo_m=90.0, valid=(0.0, 90.0), precision=0.0015, missing=_NO_DEM, cite=_HORN,
    ),
    Row(
        name="aspect", long_name="downslope direction, east and north component; 0, 0 where flatter than 1 degree",
        units="1", channels=("aspect_east", "aspect_north"), kernel="terrain", inputs=("elevation",),
        halo_m=90.0, valid=(-1.0, 1.0), precision=5e-5, missing=_NO_DEM, cite=_HORN,
    ),
    Row(
        name="relief", long_name="range of elevation in a square of 2.0 km", units="m", kernel="relief",
        inputs=("elevation",), halo_m=1000.0, valid=(0.0, 9000.0), precision=0.2,
        missing="nodata where less than half of the window is known", cite="https://doi.org/10.1093/nsr/nwaf179",
    ),
    Row(
        name="roughness", long_name="vector ruggedness in a square of 270 m", units="1", kernel="roughness",
        inputs=("elevation",), halo_m=180.0, valid=(0.0, 1.0), transform="log10",
        missing="nodata where less than half of the window is known",
        cite="Sappington et al. (2007), https://doi.org/10.2193/2005-723",
    ),
    Row(
        name="plan_curvature", long_name="tangential curvature, positive on noses; 0 where flatter than 1 degree",
        units="0.01 m-1", kernel="terrain", inputs=("elevation",), halo_m=360.0, valid=(-10.0, 10.0),
        precision=5e-4, missing="nodata within four pixels of a missing elevation", cite=_CURVATURE,
    ),
    Row(
        name="profile_curvature", long_name="profile curvature, positive where convex; 0 where flatter than 1 degree",
        units="0.01 m-1", kernel="terrain", inputs=("elevation",), halo_m=360.0, valid=(-10.0, 10.0),
        precision=5e-4, missing="nodata within four pixels of a missing elevation", cite=_CURVATURE,
    ),
    Row(
        name="tpi", long_name="elevation above the mean of a disc of 300 m radius", units="m",
        kernel="topographic_position", inputs=("elevation",), halo_m=300.0, valid=(-3000.0, 3000.0), precision=0.1,
        missing="nodata where less than half of the disc is known", cite="Weiss (2001), ESRI User Conference",
    ),
)  # fmt: skip

_GROUND = (
    Row(
        name="lithology", long_name="lithological class", units="code", kind="categorical", source="lithology",
        resampling="nearest", legend="glim", valid=(1.0, 16.0), missing="code 0", transform="code",
        cite="Hartmann and Moosdorf (2012), https://doi.org/10.1029/2012GC004370",
    ),
    Row(
        name="soil", long_name="reference soil group", units="code", kind="categorical", source="soil",
        resampling="nearest", legend="wrb", valid=(1.0, 30.0), missing="code 0", transform="code",
        cite="Poggio et al. (2021), https://doi.org/10.5194/soil-7-217-2021",
    ),
    Row(
        name="land_cover", long_name="land cover before the event", units="code", kind="categorical",
        source="land_cover", resampling="mode", legend="worldcover", valid=(10.0, 100.0), missing="code 0",
        transform="code", cite="Zanaga et al. (2022), https://doi.org/10.5281/zenodo.7254221",
    ),
    Row(
        name="ndvi", long_name="normalised difference vegetation index before the event", units="1", source="ndvi",
        resampling="average", valid=(-1.0, 1.0), precision=1e-4, cite="Tucker (1979), https://doi.org/10.1016/0034-4257(79)90013-0",
    ),
)  # fmt: skip

# Two reaches meet in the distance to a river: what decides whether a pixel is a channel, and how
# far the channel may be. A channel begins at 1 km2, so the first is the length of a basin of that
# size: with 3 km, blocks equal the whole on four real mountain DEMs (Gorkha, Kashmir, Wenchuan,
# Jiuzhaigou) and in all but 0.02 % of Lefkada's land. On those mountains 99.9 % of pixels lie within
# 2.2 km of a channel and none beyond 5 km (0.6 % on Lefkada, capes and islets), so a clip at 10 km
# would buy nothing for 5 km more halo.
_WATER = (
    Row(
        name="twi", long_name="topographic wetness index, contributing area capped at 1 km2", units="1",
        kernel="hydrology", inputs=("elevation", "land", "slope"), halo_m=3000.0, valid=(-5.0, 20.0), precision=1e-3,
        missing=_NO_DEM, cite=f"{_WETNESS}; {_FLOW}",
    ),
    Row(
        name="streams", long_name="channel (1): 1 km2 or more drains through the pixel", units="1", role="support",
        kernel="hydrology", inputs=("elevation", "land", "slope"), halo_m=3000.0, valid=(0.0, 1.0),
        precision=1.0, missing=_NO_DEM, cite=_FLOW,
    ),
    Row(
        name="river_distance", long_name="distance to the nearest channel, at most 5 km", units="m",
        kernel="river_distance", inputs=("streams",), halo_m=5000.0, valid=(0.0, 5000.0), precision=0.1,
        transform="log1p", missing=_NO_DEM, cite=_EDT,
    ),
)  # fmt: skip

_SHAKING = (
    Row(
        name="fault_distance", long_name="distance to the nearest active fault, at most 200 km", units="m",
        kernel="fault_distance", inputs=("faults",), valid=(0.0, 200_000.0), precision=4.0, transform="log1p",
        missing="nodata where the fault layer is missing; 200 km where it holds no fault within reach", cite=_FAULTS,
    ),
    Row(
        name="focal_mechanism", long_name="sine and cosine of the rake", units="1", per="event",
        channels=("rake_sin", "rake_cos"), kernel="focal_mechanism", inputs=("event.rake",), valid=(-1.0, 1.0),
        precision=5e-5,
        missing="nodata where the rake is unknown", cite="Aki and Richards (2002), Quantitative Seismology",
    ),
    Row(
        name="pga", long_name="peak ground acceleration", units="g", per="event", source="shaking.pga",
        resampling="bilinear_ln", valid=(0.0, 10.0), missing=_OFF_MAP, transform="ln", cite=_SHAKEMAP,
    ),
    Row(
        name="pgv", long_name="peak ground velocity", units="cm s-1", per="event", source="shaking.pgv",
        resampling="bilinear_ln", valid=(0.0, 1000.0), missing=_OFF_MAP, transform="ln", cite=_SHAKEMAP,
    ),
)  # fmt: skip

COSEISMIC = Table("coseismic", (*_SUPPORT, *_TERRAIN, *_GROUND, *_WATER, *_SHAKING))
"""17 indicators, and the layers that support them."""

PAPER_CHANNELS = (
    "slope", "aspect_east", "aspect_north", "relief", "roughness", "plan_curvature", "tpi",
    "lithology", "soil", "land_cover", "ndvi", "river_distance", "twi", "fault_distance", "pga",
)  # fmt: skip
"""Channels of the 14 indicators the paper keeps, https://doi.org/10.1093/nsr/nwaf179."""

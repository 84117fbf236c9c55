"""What tells one fictive region from another."""

from __future__ import annotations

from dataclasses import dataclass

from headscarp.core.hazard.groundmotion import Mechanism


@dataclass(frozen=True, slots=True)
class Rock:
    """One lithology of a region, as it erodes and as it fails."""

    code: int
    """GLiM class: su vb ss pb sm sc va mt pa vi wb py pi ev nd ig are 1 to 16."""
    share: float
    """Relative area."""
    repose: float
    """Steepest slope in degrees that erosion leaves standing."""
    erodibility: float
    """Factor on how fast rivers cut."""
    cohesion: float
    """Median effective cohesion of the sliding layer, kPa."""
    friction: float
    """Median effective friction angle, degrees."""


ALLUVIUM = Rock(code=1, share=0.0, repose=24.0, erodibility=1.6, cohesion=5.2, friction=33.0)
"""Valley fills and the coastal plain, whatever the region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSettings:
    """A fictive region in mid-ocean; seeds draw its quakes and its valleys.

    Lengths in metres, rates in metres a year, angles in degrees.
    """

    code: str
    """Letters in event ids."""
    name: str
    longitude: float
    latitude: float
    rocks: tuple[Rock, ...]
    sea: float = 0.12
    """Share of the width that is sea, along the western edge; 0 for a landlocked region."""
    base_m: float = 0.0
    """Elevation to which rivers drain."""
    uplift: float = 1.0e-3
    erodibility: float = 1.6e-5
    treeline: float = 1_900.0
    magnitudes: tuple[float, float] = (6.6, 7.3)
    mechanisms: tuple[Mechanism, ...] = ("strike-slip", "reverse")
    offset_km: tuple[float, float] = (2.0, 8.0)
    """Distance of the rupture's line from the middle of the grid."""
    strength_std: float = 0.15
    """Standard deviation of ln strength that no map shows."""
    shaking_std: float = 0.30
    """Standard deviation of ln PGA within the quake, as good as a network of stations makes it."""
    strength_range_m: float = 300.0
    slide_range_m: float = 120.0
    """Range of the field that makes failed pixels neighbours."""
    ridge_amplification: float = 0.10
    """Gain in ln PGA per standard deviation of topographic position, known to no ShakeMap."""
    gaps: bool = True
    """Whether a DEM void, an unmapped geology sheet and a cloud are cut out of the maps."""


CORVANE = WorldSettings(
    code="cor",
    name="Corvane Range",
    longitude=-27.0,
    latitude=47.5,
    rocks=(
        Rock(code=3, share=0.30, repose=36.0, erodibility=1.0, cohesion=9.0, friction=37.0),
        Rock(code=5, share=0.25, repose=31.0, erodibility=1.5, cohesion=6.4, friction=32.0),
        Rock(code=8, share=0.25, repose=39.0, erodibility=0.8, cohesion=11.2, friction=39.0),
        Rock(code=9, share=0.20, repose=43.0, erodibility=0.6, cohesion=14.2, friction=42.0),
    ),
)
"""A young coastal range: sandstone, mixed sediments, schist, granite."""
TELDRIS = WorldSettings(
    code="tel",
    name="Teldris Highlands",
    longitude=-39.0,
    latitude=-41.0,
    sea=0.0,
    base_m=640.0,
    uplift=1.1e-3,
    treeline=1_400.0,
    magnitudes=(6.6, 7.1),
    mechanisms=("reverse",),
    rocks=(
        Rock(code=6, share=0.30, repose=41.0, erodibility=0.8, cohesion=15.6, friction=38.0),
        Rock(code=5, share=0.30, repose=33.0, erodibility=1.4, cohesion=8.8, friction=33.0),
        Rock(code=8, share=0.40, repose=38.0, erodibility=0.9, cohesion=13.7, friction=37.0),
    ),
)
"""A landlocked thrust belt: limestone, mixed sediments, schist."""
ORREST = WorldSettings(
    code="orr",
    name="Orrest Island",
    longitude=-147.0,
    latitude=33.0,
    sea=0.25,
    uplift=0.8e-3,
    treeline=2_400.0,
    magnitudes=(6.6, 7.2),
    mechanisms=("strike-slip", "normal"),
    rocks=(
        Rock(code=7, share=0.35, repose=38.0, erodibility=0.9, cohesion=9.8, friction=37.0),
        Rock(code=2, share=0.30, repose=40.0, erodibility=0.8, cohesion=12.0, friction=38.0),
        Rock(code=12, share=0.35, repose=32.0, erodibility=1.7, cohesion=5.2, friction=34.0),
    ),
)
"""A volcanic island: lavas under weak pyroclastics."""
REGIONS: tuple[WorldSettings, ...] = (CORVANE, TELDRIS, ORREST)

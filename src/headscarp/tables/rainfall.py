"""The control indicators of landslides set off by a rainstorm: the ground as for earthquakes, rain as the trigger.

The two rain layers are named in a source registry; there is no public default, for a storm's rain is
chosen with the storm (gauges, radar, or satellite products such as GPM IMERG). A table is not a model:
no model has been trained on this one, and nothing is claimed of it.
"""

from __future__ import annotations

from headscarp.core.pci.table import Row, Table
from headscarp.tables.coseismic import COSEISMIC

_NO_RAIN = "nodata outside the rain product"


def _is_ground(row: Row) -> bool:
    """Whether a row says something of the ground that no earthquake is needed for."""
    of_shaking = (row.source or "").startswith("shaking.") or row.name == "fault_distance"
    return row.per == "static" and not of_shaking


_RAIN = (
    Row(
        name="rain_event", long_name="rain of the storm, from its first to its last hour", units="mm", per="event",
        source="rain_event", resampling="bilinear", valid=(0.0, 5000.0), missing=_NO_RAIN, transform="log1p",
        cite="Caine (1980), https://doi.org/10.1080/04353676.1980.11879996",
    ),
    Row(
        name="rain_antecedent", long_name="rain of the 30 days before the storm, a tenth of it forgotten every day",
        units="mm", per="event", source="rain_antecedent", resampling="bilinear", valid=(0.0, 5000.0),
        missing=_NO_RAIN, transform="log1p",
        cite="Crozier and Eyles (1980); Glade et al. (2000), https://doi.org/10.1007/s000240050017",
    ),
)  # fmt: skip

RAINFALL = Table("rainfall", (*filter(_is_ground, COSEISMIC), *_RAIN))
"""The static rows of the coseismic table without faults, and two rows of rain."""

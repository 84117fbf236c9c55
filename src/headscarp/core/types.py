"""Names for the arrays that travel between modules; axis order is always (channel, y, x)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Raster: TypeAlias = NDArray[np.float32]
"""(y, x) float32, NaN where there is no value."""
Stack: TypeAlias = NDArray[np.float32]
"""(channel, y, x) float32, NaN where there is no value."""
Mask: TypeAlias = NDArray[np.bool_]
"""(y, x) booleans."""
Codes: TypeAlias = NDArray[np.uint8]
"""(y, x) class codes, 0 where unknown."""
Attributes: TypeAlias = dict[str, Any]
"""JSON-serialisable metadata."""

"""Soft labels: error against a direct solve, and speed beside what the memory of this machine can move.

A label must read two masks and write one float32 raster, 6 bytes a pixel. Its share of the triad of the same minute
is what the limit is on; 4 Mpx/s is that share on a machine that moves 50 GB/s.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from bench.measure import CORES, TRIAD_BYTES, Figure, best_of, parser, report, triad
from headscarp.core.learning.labels import LENGTH_PX, LabelKind, soft_label

SIDE = 2000
DIRECT_SIDE = 502
KINDS: tuple[LabelKind, ...] = ("poisson_screened", "laplace_collar", "gaussian", "hard")
BYTES_A_PIXEL = 6
LARGEST_ERROR = 1e-3
LEAST_SHARE = 4e6 * BYTES_A_PIXEL / 50e9


def main() -> int:
    arguments = parser(__doc__).parse_args()
    slides, known = inventory(SIDE)
    calls = {kind: (lambda kind=kind: soft_label(slides, known, kind=kind, threads=CORES)) for kind in KINDS}
    seconds = best_of(arguments.runs, calls | {"triad": triad()})
    bandwidth = TRIAD_BYTES / seconds["triad"]
    share = slides.size * BYTES_A_PIXEL / seconds["poisson_screened"] / bandwidth
    figures = [
        Figure("error against a direct solve", error(), "", LARGEST_ERROR, at_most=True),
        Figure("share of the triad", 100 * share, "%", 100 * LEAST_SHARE),
        Figure("triad", bandwidth / 1e9, "GB/s"),
        *(Figure(kind, slides.size / seconds[kind] / 1e6, "Mpx/s") for kind in KINDS),
    ]
    title = f"labels, {SIDE} x {SIDE} px, {slides.mean():.1%} landslides (SYNTHETIC), {CORES} threads"
    return report(title, figures, as_json=arguments.json)


def inventory(side: int) -> tuple[np.ndarray, np.ndarray]:
    """SYNTHETIC landslides of a dozen pixels each."""
    slides = ndimage.binary_dilation(np.random.default_rng(0).random((side, side)) < 0.0024, iterations=2)
    return slides, np.ones_like(slides)


def error() -> float:
    """Largest difference of the default label to elimination, on more than 500 x 500 pixels."""
    slides, known = inventory(DIRECT_SIDE)
    line = sparse.diags([-np.ones(DIRECT_SIDE - 1)] * 2, [-1, 1])
    links = sparse.kronsum(line, line)
    matrix = (sparse.diags(-links.sum(axis=1).A1 + LENGTH_PX**-2) + links).tocsr()
    on = slides.ravel()
    u = on.astype(float)
    u[~on] = spsolve(matrix[~on][:, ~on].tocsc(), -(matrix[~on][:, on] @ np.ones(on.sum())))
    return float(np.abs(soft_label(slides, known) - u.reshape(slides.shape)).max())


if __name__ == "__main__":
    raise SystemExit(main())

"""Arctangent, tangent and logarithm as plain arithmetic, which loops over rows compile to wide instructions.

The library's functions are called for one value at a time, which costs more than all the rest of a
terrain attribute.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import Real, compiled

_ONE, _DEGREES, _QUARTER_TURN = np.float32(1.0), np.float32(180.0 / np.pi), np.float32(90.0)
_A = tuple(np.float32(a * 180.0 / np.pi) for a in (
    -0.3333314528, 0.1999355085, -0.1420889944, 0.1065626393, -0.0752896400, 0.0429096138, -0.0161657367, 0.0028662257
))  # fmt: skip
_SINE = tuple((-1) ** (n // 2) / math.factorial(n) for n in range(3, 14, 2))
_COSINE = tuple((-1) ** (n // 2) / math.factorial(n) for n in range(2, 15, 2))
_FRACTION, _EXPONENT_OF_ONE = (1 << 52) - 1, 1023 << 52


@compiled
def arctangent(value: Real, inverse: Real) -> Real:
    """Arctangent of a value >= 0 in degrees to 1e-5, given 1 / value (Abramowitz and Stegun 4.4.49)."""
    swap = value > _ONE
    t = inverse if swap else value
    s = t * t
    high = ((_A[7] * s + _A[6]) * s + _A[5]) * s + _A[4]
    angle = t * (_DEGREES + s * ((((high * s + _A[3]) * s + _A[2]) * s + _A[1]) * s + _A[0]))
    return _QUARTER_TURN - angle if swap else angle


@compiled
def tangent(angle: Real) -> Real:
    """Tangent of an angle of 0 to pi / 2 to 1e-8 of itself, by the series of sine and cosine of its half."""
    u = 0.5 * angle
    s = u * u
    p, q = _SINE[5], _COSINE[6]
    for k in range(4, -1, -1):
        p = p * s + _SINE[k]
    for k in range(5, -1, -1):
        q = q * s + _COSINE[k]
    sine, cosine = u + u * s * p, 1.0 + s * q
    return 2.0 * sine * cosine / ((cosine - sine) * (cosine + sine))


@compiled
def ln_row(values: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """Natural logarithm of values > 0 to the last bit of a float32, NaN of NaN; `values` is overwritten.

    The exponent is read off the bits; the rest is the series of the inverse hyperbolic tangent.
    """
    bits = values.view(np.int64)
    for x in range(out.size):
        exponent = np.float64((bits[x] >> 52) - 1023)
        out[x] = exponent + (values[x] - values[x])
        bits[x] = (bits[x] & _FRACTION) | _EXPONENT_OF_ONE
    for x in range(out.size):
        large = values[x] > np.sqrt(2.0)
        fraction = 0.5 * values[x] if large else values[x]
        exponent = np.float64(out[x]) + (1.0 if large else 0.0)
        t = (fraction - 1.0) / (fraction + 1.0)
        s = t * t
        series = (((((s / 15.0 + 1.0 / 13.0) * s + 1.0 / 11.0) * s + 1.0 / 9.0) * s + 1.0 / 7.0) * s + 0.2) * s
        out[x] = exponent * np.log(2.0) + 2.0 * t * (1.0 + (series + 1.0 / 3.0) * s)

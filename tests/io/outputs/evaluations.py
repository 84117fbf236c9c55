"""Results of an evaluation, made up by hand: every number is known before it is drawn."""

from __future__ import annotations

from typing import Any

NASTY = "<b>x & 'y' $a_1$"
"""A name that would break a page or a chart that trusts it."""
MODELS = ("network", "boosting", "slope", NASTY)


def around(value: float, reach: float = 0.012) -> dict[str, float]:
    """An estimate with an interval."""
    return {"value": value, "low": round(value - reach, 6), "high": round(value + reach, 6)}


def results(split: str = "blocks", **changes: Any) -> dict[str, Any]:
    """Four models on two real events and a SYNTHETIC world; `NASTY` was not judged in Kashmir."""
    document = {
        "format": "headscarp-evaluation/1",
        "split": split,
        "folds": [{"name": f"fold {n}"} for n in range(5)],
        "created": "2026-01-02T03:04:05Z",
        "headscarp": "0.1.0",
        "command": "headscarp evaluate --events a b --report out",
        "versions": {"numpy": "2.0"},
        "scenes": [
            {"name": "usp000e12e", "synthetic": False, "pixels": 400_000, "slide_pixels": 5_200, "prevalence": 0.013},
            {"name": "gorkha", "synthetic": False, "pixels": 500_000, "slide_pixels": 52_500, "prevalence": 0.105},
            {
                "name": "syn-7", "synthetic": True, "pixels": 262_144, "slide_pixels": 7_000, "prevalence": 0.0267,
                "ceiling_auc": 0.9031, "ceiling_se": 0.0042,
            },
        ],
        "models": [
            {"name": name, "identity": f"{n}" * 16, "quantity": "score" if name == "slope" else "coverage"}
            for n, name in enumerate(MODELS)
        ],
        "scores": [*SCORES],
        "differences": [*DIFFERENCES],
        "curves": [*CURVES],
        "skipped": [{"model": NASTY, "scene": "syn-7", "ground": "paper", "reason": "no class"}],
    }  # fmt: skip
    return document | changes


def _honest(model: str, scene: str, auc: float, precision: float, ratio: float | None) -> dict[str, Any]:
    row = {"model": model, "scene": scene, "profile": "honest", "ground": "all"}
    row |= {"auc": around(auc), "average_precision": around(precision, 0.004)}
    return row | ({} if ratio is None else {"area_ratio": around(ratio, 0.11)})


SCORES: list[dict[str, Any]] = [
    _honest("network", "usp000e12e", 0.8712, 0.0911, 1.23),
    _honest("boosting", "usp000e12e", 0.8503, 0.0820, 1.71),
    _honest("slope", "usp000e12e", 0.7004, 0.0270, None),
    _honest("network", "gorkha", 0.8101, 0.3040, 0.91) | {"not_judged": 1234},
    _honest("boosting", "gorkha", 0.8202, 0.3110, 1.08),
    _honest("slope", "gorkha", 0.6805, 0.1705, None),
    _honest(NASTY, "gorkha", 0.5511, 0.1209, 2.44),
    _honest("network", "syn-7", 0.8951, 0.2201, 1.02),
    _honest("boosting", "syn-7", 0.8802, 0.2002, 1.11),
    _honest("slope", "syn-7", 0.7993, 0.1003, None),
    {
        "model": "network", "scene": "mean", "profile": "honest", "ground": "all", "scenes": 2, "auc": around(0.8407),
        "average_precision": {"value": 0.1976, "low": None, "high": None},
    },
    {"model": "network", "scene": "gorkha", "profile": "honest", "ground": "pga>=0.12", "auc": 0.7777},
    {"model": "network", "scene": "gorkha", "profile": "honest", "ground": "slope-matched", "auc": float("nan")},
    *(
        {
            "model": model, "scene": scene, "profile": "paper", "auc": auc, "f1": 0.7801, "precision": 0.7602,
            "recall": 0.8003, "accuracy": 0.7704, "kappa": 0.5405,
        }
        for model, scene, auc in (
            ("network", "gorkha", 0.8811), ("boosting", "gorkha", 0.8712), (NASTY, "usp000e12e", 0.6613),
        )
    ),
]  # fmt: skip
DIFFERENCES: list[dict[str, Any]] = [
    {"model": "network", "against": "boosting", "scene": "usp000e12e", "metric": "auc", "value": 0.0209, "low": 0.004,
     "high": 0.038},
    {"model": "network", "against": "boosting", "scene": "gorkha", "metric": "auc", "value": -0.0101, "low": -0.021,
     "high": 0.003},
    {"model": "network", "against": "boosting", "scene": "mean", "metric": "auc", "value": 0.0054, "low": -0.004,
     "high": 0.016},
    {"model": "slope", "against": "boosting", "scene": "mean", "metric": "auc", "value": -0.1449, "low": -0.161,
     "high": -0.129},
    {"model": "network", "against": "boosting", "scene": "mean", "metric": "average_precision", "value": 0.0011,
     "low": -0.006, "high": 0.008},
    {"model": "network", "against": "slope", "scene": "mean", "metric": "auc", "value": 0.1502, "low": 0.132,
     "high": 0.168},
]  # fmt: skip


def _curve(model: str, scene: str, power: float, tilt: float) -> dict[str, Any]:
    shares = [n / 20 for n in range(21)]
    return {
        "model": model,
        "scene": scene,
        "success_rate": [[share, share**power] for share in shares],
        "reliability": [
            {"predicted": p, "observed": p * tilt, "cells": cells}
            for p, cells in ((0.001, 4120), (0.004, 2310), (0.015, 1240), (0.03, 510), (0.08, 212), (0.2, 31))
        ],
        "roc": [[0.0, 0.0], [0.3, 0.8], [1.0, 1.0]],
        "hit_rate": [
            {"from_m2": 900, "to_m2": 2700, "bodies": 812, "rate": 0.41},
            {"from_m2": 2700, "to_m2": 9000, "bodies": 411, "rate": 0.41 + power / 2},
            {"from_m2": 9000, "to_m2": None, "bodies": 57, "rate": None if scene == "gorkha" else 0.9},
        ],
    }


CURVES = [
    _curve(model, scene, power, tilt)
    for model, power, tilt in (("network", 0.30, 0.8), ("boosting", 0.36, 1.7), ("slope", 0.6, 1.0))
    for scene in ("usp000e12e", "gorkha", "syn-7")
]

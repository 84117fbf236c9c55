"""What a visitor does and sees."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.viewer.bucket import Bucket

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
]
PATIENCE_S = 45.0
BESIDE_LINES = 11
"""Pixels by which colours are read beside a place, so that no meridian crosses the sample."""


@dataclass
class Visitor:
    """A browser page and what it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def at(cls, browser: Browser, *, width: int, height: int) -> Iterator[Visitor]:
        """Open a window of a size."""
        page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
        page.set_default_timeout(10_000)
        visitor = cls(page)
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        page.on("console", visitor._hear)
        page.on("request", lambda request: visitor.addresses.append(request.url))
        yield visitor
        page.close()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def open(self, bucket: Bucket, address: str = "") -> Visitor:
        """Go to an address and wait until it is drawn or refused."""
        self.page.goto(f"{bucket.url}/index.html{address}")
        return self.wait()

    def wait(self) -> Visitor:
        """Wait until the page says that it is ready."""
        self.until("window.__headscarp?.ready === true")
        return self

    def until(self, expression: str) -> None:
        """Wait for a condition in the page; strings are evaluated from outside, which its policy allows."""
        end = time.monotonic() + PATIENCE_S
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"{expression} did not come true within {PATIENCE_S} s"
            time.sleep(0.05)

    def settle(self) -> Visitor:
        """Wait until both maps are idle after a change that no address tells of."""
        self.until(
            "[__headscarp.map, __headscarp.compareMap].filter(Boolean)"
            ".every((map) => map.loaded() && map.areTilesLoaded() && !map.isMoving())"
        )
        self.page.wait_for_timeout(150)
        return self

    def text(self, selector: str) -> str:
        """All text of the first match."""
        return self.page.locator(selector).first.inner_text()

    def texts(self, selector: str) -> list[str]:
        """Text of every match."""
        return self.page.locator(selector).all_inner_texts()

    def colour(self, position: tuple[float, float], which: str = "map") -> tuple[int, ...]:
        """Median colour on the screen beside a place on one of the maps."""
        x, y = self.screen(position, which)
        half = 3
        box = {
            "x": x + BESIDE_LINES - half,
            "y": y + BESIDE_LINES - half,
            "width": 2 * half + 1,
            "height": 2 * half + 1,
        }
        image = Image.open(io.BytesIO(self.page.screenshot(clip=box))).convert("RGB")
        return tuple(int(v) for v in np.median(np.asarray(image).reshape(-1, 3), axis=0))

    def screen(self, position: tuple[float, float], which: str = "map") -> tuple[int, int]:
        """Where a place is on the screen."""
        x, y = self.page.evaluate(
            """([which, position]) => {
                const map = __headscarp[which];
                const box = map.getContainer().getBoundingClientRect();
                const near = [position, [position[0] - 360, position[1]], [position[0] + 360, position[1]]];
                const points = near.map((one) => map.project(one));
                const { x, y } = points.find((p) => p.x >= 0 && p.x <= box.width) ?? points[0];
                return [box.x + x, box.y + y];
            }""",
            [which, list(position)],
        )
        return round(x), round(y)

    def camera(self, which: str = "map") -> dict[str, Any]:
        """Centre, zoom and bounds of a map."""
        return dict(
            self.page.evaluate(
                """(which) => {
                    const map = __headscarp[which];
                    const { lng, lat } = map.getCenter();
                    return { lng, lat, zoom: map.getZoom(), bounds: map.getBounds().toArray().flat() };
                }""",
                which,
            )
        )

"""The report in a real browser: offline, at desk and phone width, in light and dark, and on paper."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeret.reporting import write
from aeret.reporting.evaluation_report import build_report

sys.path.insert(0, str(Path(__file__).parents[1] / "reporting"))
import synthetic_evaluation as synthetic

CHROMIUM = os.environ.get("AERET_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; install it or set AERET_CHROMIUM to its path"),
    # One browser at a time: xdist's "loadgroup" keeps these tests in one process.
    pytest.mark.xdist_group("browser"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    gallery = synthetic.split()
    vectors = np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32)
    report = build_report(synthetic.evaluation(gallery, vectors), synthetic.material(gallery))
    return write(report, tmp_path_factory.mktemp("report"))["html"].as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        instance = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield instance
        instance.close()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_shows_everything(browser: Any, address: str, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
    page = context.new_page()
    problems: list[str] = []
    fetched: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(address)
    assert problems == []
    assert [url for url in fetched if not url.startswith("data:")] == [address]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    images = page.evaluate("[...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth, i.alt])")
    assert len(images) > 50
    assert all(complete and natural > 0 and shown > 8 and alt for complete, natural, shown, alt in images)
    beyond = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll') && !e.closest('svg')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert beyond == []
    context.close()


def test_anchors_and_keys_move_through_the_page(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.click("nav a[href='#clusters']")
    top = page.evaluate("document.getElementById('clusters').getBoundingClientRect().top")
    assert 0 <= top < 200
    assert page.evaluate("document.querySelector('nav').getBoundingClientRect().top") >= 0, "the contents scroll away"
    page.close()


def test_paper_has_no_navigation_and_a_white_ground(browser: Any, address: str) -> None:
    context = browser.new_context(viewport={"width": 800, "height": 1000}, color_scheme="dark")
    page = context.new_page()
    page.goto(address)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    context.close()

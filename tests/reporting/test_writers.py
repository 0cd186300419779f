"""All four formats hold the same numbers, and the HTML needs nothing beside itself."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import synthetic_evaluation as synthetic

from aeret.errors import RunError, UnknownNameError
from aeret.reporting import WRITERS, write
from aeret.reporting.evaluation_report import build_report
from aeret.reporting.formats import show
from aeret.reporting.report import (
    Column,
    Estimate,
    Fact,
    Facts,
    Floor,
    Gallery,
    Headline,
    Part,
    Report,
    Section,
    Table,
)


@pytest.fixture(scope="module")
def report() -> Report:
    gallery = synthetic.split()
    vectors = np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32)
    return build_report(synthetic.evaluation(gallery, vectors), synthetic.material(gallery))


class Page(HTMLParser):
    """Collects numbers, ids, links and whatever a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[tuple[float, str]]] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self._table = ""
        self._value: float | None = None
        self._last_id = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if found.get("id"):
            self.ids.append(str(found["id"]))
            self._last_id = str(found["id"])
        if tag == "table":
            self._table = self._last_id
            self.tables[self._table] = []
        if tag == "data":
            self._value = float(str(found["value"]))
        for name in ("src", "srcset", "data", "poster", "xlink:href"):
            if found.get(name) and not str(found[name]).startswith("#"):
                self.fetched.append(str(found[name]))
        if tag == "a":
            self.links.append(str(found["href"]))
        if tag == "link":
            self.fetched.append(str(found["href"]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._table = ""

    def handle_data(self, data: str) -> None:
        if self._value is not None:
            if self._table:
                self.tables[self._table].append((self._value, data))
            self._value = None


def _flat(value: object) -> list[float]:
    """The numbers of one JSON cell, in reading order of the page: value, sd, low, high."""
    if isinstance(value, dict):
        return [value[key] for key in ("value", "sd", "low", "high") if value.get(key) is not None]
    return [] if value is None or isinstance(value, str) else [value]  # type: ignore[list-item]


def test_json_and_html_hold_the_same_numbers_at_full_precision(report: Report) -> None:
    page = Page(WRITERS["html"](report))
    tree = json.loads(WRITERS["json"](report))
    found = 0
    for section in tree["sections"]:
        for block in section["blocks"]:
            table = block.get("data") or block
            if table["type"] != "table":
                continue
            expected = [
                (number, show(number, column["kind"]))
                for row in table["rows"]
                for column, value in zip(table["columns"], row, strict=True)
                for number in _flat(value)
            ]
            assert page.tables[table["id"]] == expected, table["id"]
            found += len(expected)
    assert found > 300


def test_csv_holds_the_numbers_of_the_json(report: Report) -> None:
    lines = list(csv.DictReader(io.StringIO(WRITERS["csv"](report))))
    tree = json.loads(WRITERS["json"](report))
    for section in tree["sections"]:
        for block in section["blocks"]:
            table = block.get("data") or block
            if table["type"] != "table":
                continue
            expected = sorted(number for row in table["rows"] for value in row for number in _flat(value))
            got = [line for line in lines if line["table"] == table["id"] and line["value"] != ""]
            assert sorted(float(line["value"]) for line in got) == expected
            assert {line["section"] for line in got} <= {section["id"]}
    for headline in tree["headlines"]:
        values = [line for line in lines if line["table"] == headline["id"] and line["part"] == "value"]
        part = headline["part"]
        assert [float(line["value"]) for line in values] == [headline["value"], *([part["value"]] if part else [])]
        assert all(line["label"].endswith(part["name"]) for line in values[1:])
    assert [bool(headline["part"]) for headline in tree["headlines"]] == [True, True, False, False, False]


def test_markdown_shows_every_table_as_the_page_does(report: Report) -> None:
    text = WRITERS["md"](report).replace("\\", "").replace("&amp;", "&")
    for _, table in report.tables():
        for row in table.rows:
            cells = [show(value, column.kind) for value, column in zip(row, table.columns, strict=True)]
            assert "| " + " | ".join(cells) + " |" in text
    for headline in report.headlines:
        assert show(headline.value, headline.kind) in text


def test_facts_are_in_all_four(report: Report) -> None:
    lines = list(csv.DictReader(io.StringIO(WRITERS["csv"](report))))
    tree = json.loads(WRITERS["json"](report))
    markdown, html = WRITERS["md"](report), WRITERS["html"](report)
    facts = [block for section in report.sections for block in section.blocks if isinstance(block, Facts)]
    (inertia,) = (fact for block in facts for fact in block.facts if fact.name == "inertia")
    assert inertia.value == 12.5
    assert [line["value"] for line in lines if line["label"] == "inertia"] == ["12.5"]
    assert "- inertia: 12.5" in markdown
    assert '<dt>inertia</dt><dd><data value="12.5">12.5</data>' in html
    assert {"name": "inertia", "kind": "number", "value": 12.5} in [
        {key: fact[key] for key in ("name", "kind", "value")}
        for section in tree["sections"]
        for block in section["blocks"]
        if block["type"] == "facts"
        for fact in block["facts"]
    ]


def test_what_a_number_means_stands_beside_it_in_every_format(report: Report) -> None:
    facts = Facts("all", "All", (Fact("R2", 0.5),), caption="Share of the variance.", folded=True)
    table = Table.of_rows("some", "Some", (Column("n", "photos", "count", "without crowds"),), ((3,),))
    report = replace(report, sections=(Section("one", "One", (facts, table)),))
    markdown, page = WRITERS["md"](report), WRITERS["html"](report)
    tree = json.loads(WRITERS["json"](report))
    assert "Share of the variance" in markdown
    assert "Share of the variance." in page
    assert tree["sections"][0]["blocks"][0]["caption"] == "Share of the variance."
    assert "without crowds" in markdown
    assert "without crowds" in page


def test_the_page_is_complete_in_itself(report: Report, tmp_path: Path) -> None:
    paths = write(report, tmp_path)
    text = paths["html"].read_text(encoding="utf-8")
    page = Page(text)
    assert page.fetched, "the page shows pictures"
    assert all(address.startswith("data:") for address in page.fetched)
    assert "script" not in page.tags
    assert "iframe" not in page.tags
    assert not re.search(r"url\(\s*[\"']?(?!#)", text), "the style sheet fetches something"
    assert "@import" not in text
    # The names of XML languages are no addresses.
    assert set(re.findall(r"https?://[^\"'\s<]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert len(text) < 2_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.csv", "report.html", "report.json", "report.md"]


def test_every_anchor_leads_somewhere_and_no_id_is_used_twice(report: Report) -> None:
    page = Page(WRITERS["html"](report))
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert {section.id for section in report.sections} <= {link.removeprefix("#") for link in page.links}


def test_hostile_names_stay_text(report: Report) -> None:
    html, markdown = WRITERS["html"](report), WRITERS["md"](report)
    assert "<script" not in html.lower()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert not re.search(r"(?<!\\)<script", markdown)
    assert "\\<script\\>" in markdown
    # A pipe in a name would split its row.
    row = next(line for line in markdown.splitlines() if "x^2" in line and line.startswith("| "))
    assert r"\| \*y\*" in row


def test_csv_text_is_no_formula() -> None:
    table = Table.of_rows("t", "T", (Column("name", "name"), Column("x", "x", "measure")), (("=1+1", 0.5), ("-a", 1.0)))
    text = WRITERS["csv"](Report("R", "", (Section("s", "S", (table,)),)))
    assert [line[3] for line in csv.reader(io.StringIO(text))][1:] == ["'=1+1", "'-a"]


def test_the_same_report_is_written_byte_for_byte_twice() -> None:
    gallery = synthetic.split()
    vectors = np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32)
    made = [build_report(synthetic.evaluation(gallery, vectors), synthetic.material(gallery)) for _ in range(2)]
    for ending, render in WRITERS.items():
        assert render(made[0]) == render(made[1]), ending


def test_missing_numbers_are_dashes_nulls_and_empty() -> None:
    columns = (Column("name", "name"), Column("x", "x", "measure"))
    rows = (("a", float("nan")), ("b", Estimate(float("nan"), 0.1, 0.2)), ("c", np.float32(0.5)))
    table = Table.of_rows("t", "T", columns, rows)
    assert [row[1] for row in table.rows] == [None, None, 0.5]
    report = Report("R", "", (Section("s", "S", (table,)),))
    assert "| a | – |" in WRITERS["md"](report)
    assert json.loads(WRITERS["json"](report))["sections"][0]["blocks"][0]["rows"][0] == ["a", None]
    assert "s,t,0,a,x,,\n" in WRITERS["csv"](report)
    assert 'class="missing"' in WRITERS["html"](report)


def test_a_floor_that_is_not_beaten_is_said_to_be() -> None:
    floors = (Floor("random", 0.2), Floor("single cluster", 0.6), Floor("oracle", 0.9, reference=True))
    report = Report("R", "", (), (Headline("F", 0.5, floors, id="f", meaning="meaning"),))
    assert "random 0.200, single cluster 0.600 (not beaten), oracle 0.900 |" in WRITERS["md"](report)
    assert WRITERS["html"](report).count("not beaten") == 1


def test_a_part_of_the_queries_stands_beside_the_headline() -> None:
    part = Part("on real_masks", 0.25, (Floor("random", 0.125), Floor("query-free", 0.375)), 0.1875, 0.3125)
    headline = Headline("H", 0.5, (Floor("random", 0.0625),), id="h", meaning="meaning", part=part)
    report = Report("R", "", (), (headline,))
    markdown = WRITERS["md"](report).replace("\\", "")
    assert "| 0.500; on real_masks 0.250 [0.188 – 0.312] |" in markdown
    assert "| random 0.062; on real_masks: random 0.125, query-free 0.375 (not beaten) |" in markdown
    html = WRITERS["html"](report)
    assert '<p class="part">on real_masks <b><data value="0.25">0.250</data></b><small class="interval">' in html
    assert html.count("not beaten") == 1
    (tree,) = json.loads(WRITERS["json"](report))["headlines"]
    assert (tree["part"]["value"], tree["part"]["low"], tree["part"]["high"]) == (0.25, 0.1875, 0.3125)
    assert "h,0,H on real_masks,query-free,,0.375" in WRITERS["csv"](report)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Table.of_rows("t", "T", (Column("a", "a"),), (("x", 1),)), "one per column"),
        (lambda: Table.of_rows("t", "T", (Column("a", "a"),), (("x",),), row_kinds=("", "lead")), "2 row kinds"),
        (lambda: Report("R", "", (Section("Not an id", "T", ()),)), "no report id"),
        (lambda: Report("R", "", (Section("s", "S", ()), Section("s", "S", ()))), "used twice"),
        (lambda: Headline("H", float("nan"), (), id="h", meaning=""), "leave the headline out"),
    ],
)
def test_malformed_reports_are_refused(make: object, says: str) -> None:
    with pytest.raises(RunError, match=says):
        make()  # type: ignore[operator]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="percent"):
        Table.of_rows("t", "T", (Column("a", "a", "precent"),), ())


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.19432, "measure", "0.194"),
        (0.00123, "measure", "0.0012"),
        (0.000451, "measure", "0.00045"),
        (0.0000213, "measure", "2.1e−05"),
        (-0.25, "measure", "−0.250"),
        (0, "measure", "0.000"),
        (0.036, "signed", "+0.036"),
        (0.0004, "p", "< 0.001"),
        (0.0312, "p", "0.031"),
        (0.031, "percent", "3.1 %"),
        (1234567, "count", "1\u202f234\u202f567"),
        (301.5, "seconds", "5 min 2 s"),
        (7384, "seconds", "2 h 3 min"),
        (4.25, "seconds", "4.2 s"),
        (5 * 1024**3, "bytes", "5.00 GiB"),
        (12.3456, "number", "12.35"),
        (41.0, "number", "41"),
        (9.4e-05, "measure", "9.4e−05"),
        (8.5e-18, "measure", "0.000"),
        (-0.0, "measure", "0.000"),
        (None, "measure", "–"),
        (Estimate(0.5, 0.1, 0.6), "measure", "0.500 [0.100 – 0.600]"),
        (Estimate(0.5, 0.4, 0.6, 0.01), "measure", "0.500 ± 0.010 [0.400 – 0.600]"),
    ],
)
def test_formats(value: object, kind: str, text: str) -> None:
    assert show(value, kind) == text  # type: ignore[arg-type]


def test_galleries_mark_relevance_by_sign(report: Report) -> None:
    html = WRITERS["html"](report)
    galleries = [b for s in report.sections for b in s.blocks if isinstance(b, Gallery) and b.id.startswith("queries")]
    marks = [tile.mark for gallery in galleries for strip in gallery.strips for tile in strip.tiles]
    assert html.count('<span class="mark">✓</span>') == marks.count("relevant") > 0
    assert html.count('<span class="mark">✕</span>') == marks.count("irrelevant") > 0

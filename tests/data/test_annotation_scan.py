"""The scanning reader against the typed one: whatever the file, the same bytes or the same words of refusal."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from aeret.data import annotation_columns, coco_json
from aeret.data.coco_json import read_columns
from aeret.errors import DataError
from aeret.rng import generator

SPACES = ("", "", "", " ", " ", "\n  ", "\t", "\r\n")
TEXTS = ("", "plain", "}, {", "a]b[c", 'say \\"hi\\"', "back\\\\slash", "\\u00e9\\n\\/", "élan 犬 🐕", "\\ud83d\\ude00")
EXTRAS = ("0", "-1.5e-3", "true", "null", "[]", "{}", '[{"id": 1}, [[], {"image_id": [2]}]]', '{"iscrowd": "x"}')
NUMBERS = ("0", "-0", "-0.0", "1e2", "2E-3", "0.1", "123456789012345678", "1234567890.12345678901", "9007199254740993")
thorough = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Writer:
    """Writes COCO files as nobody but JSON allows: any white space, order of keys, spelling of numbers, extra keys."""

    def __init__(self, seed: int) -> None:
        self.rng = generator(seed, "coco text")

    def pick(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def space(self) -> str:
        return str(self.pick(SPACES))

    def sequence(self, ends: str, items: list[str]) -> str:
        inner = ",".join(f"{self.space()}{item}{self.space()}" for item in items)
        return f"{ends[0]}{inner or self.space()}{ends[1]}"

    def record(self, values: dict[str, str]) -> str:
        for _ in range(int(self.rng.integers(3))):
            values[f"extra {self.rng.integers(99)}"] = self.pick([*EXTRAS, *(f'"{text}"' for text in TEXTS)])
        keys = list(values)
        keys = [keys[place] for place in self.rng.permutation(len(keys))]
        return self.sequence("{}", [f'"{key}"{self.space()}:{self.space()}{values[key]}' for key in keys])

    def number(self) -> str:
        if self.chance(0.1):
            return str(self.pick(NUMBERS))
        value = float(self.rng.normal() * 10.0 ** self.rng.integers(-3, 4))
        return str(self.pick((repr(value), f"{value:.2f}", f"{value:.0f}", f"{value:.12e}")))

    def numbers(self, count: int) -> str:
        return self.sequence("[]", [self.number() for _ in range(count)])

    def mask(self) -> str:
        bits = self.rng.integers(0, 2, (4, 6), np.uint8)
        text = coco_mask.encode(np.asfortranarray(bits))["counts"].decode()
        runs = np.diff(np.flatnonzero(np.diff(bits.T.reshape(-1), prepend=2, append=2))).tolist()
        runs = [str(run) for run in ([0] if bits[0, 0] else []) + runs]
        counts = self.pick((json.dumps(text), self.sequence("[]", runs), "[]", '""', "[4294967296]"))
        return self.record({"size": self.sequence("[]", ["4", "6"]), "counts": counts})

    def annotation(self, number: int) -> str:
        values = {"id": str(number), "image_id": self.pick("12"), "category_id": self.pick("59")}
        if self.chance(0.8):
            values["bbox"] = self.numbers(4)
        if self.chance(0.8):
            values["area"] = self.number()
        if self.chance(0.8):
            values["iscrowd"] = self.pick(("0", "1", "false", "true"))
        if self.chance(0.9):
            parts = [self.numbers(2 * int(self.rng.integers(3, 9))) for _ in range(int(self.rng.integers(1, 4)))]
            values["segmentation"] = self.pick((self.sequence("[]", parts), self.mask(), "null"))
        return self.record(values)

    def file(self, annotations: int = 8) -> str:
        images = [self.record({"id": n, "file_name": f'"{n}.jpg"', "width": "6", "height": "4"}) for n in "12"]
        categories = [self.record({"id": "5", "name": '"dog"'}), self.record({"id": "9", "name": '"d\\u00f6g"'})]
        return self.space() + self.record(
            {
                "images": self.sequence("[]", images),
                "annotations": self.sequence("[]", [self.annotation(number) for number in range(annotations)]),
                "categories": self.sequence("[]", categories),
            }
        )


def outcome(path: Path, scan: bool) -> Any:
    """What a reader makes of a file, to the bit."""
    try:
        columns = read_columns(path, scan=scan)
    except DataError as error:
        return str(error)
    flags = {name: flag.tolist() for name, flag in columns.pop("photo_flags").items()}
    same = {name: value for name, value in columns.items() if not isinstance(value, np.ndarray)}
    arrays = {
        name: (value.dtype, value.shape, value.tobytes())
        for name, value in columns.items()
        if isinstance(value, np.ndarray)
    }
    return same, arrays, flags


def demand_same(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    assert outcome(path, scan=True) == outcome(path, scan=False)


def scanned(path: Path) -> bool:
    """Whether the scanner took the file, and did not leave it to the typed reader."""
    with path.open("rb") as stream:
        text = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return coco_json._gather(text, scan=True) is not None


@pytest.mark.parametrize("window", [256, 1 << 19])
@settings(thorough, max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_any_file(tmp_path: Path, seed: int, window: int) -> None:
    path = tmp_path / "any.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotation_columns, "_WINDOW", window)
        demand_same(path, Writer(seed).file().encode())


def mutated(text: bytes, seed: int) -> bytes:
    """Cut, double, swap or replace a few characters."""
    rng = generator(seed, "mutation")
    for _ in range(int(rng.integers(1, 4))):
        at, length = int(rng.integers(len(text))), int(rng.integers(1, 12))
        how = rng.integers(4)
        spare = [
            b"",
            b"0",
            b"-",
            b".",
            b"e",
            b'"',
            b"\\",
            b"[",
            b"]",
            b"{",
            b"}",
            b",",
            b":",
            b"NaN",
            b"\xff",
            b"1e400",
        ]
        piece = spare[int(rng.integers(len(spare)))]
        if how == 0:
            text = text[:at] + text[at + length :]
        elif how == 1:
            text = text[:at] + text[at : at + length] + text[at:]
        elif how == 2:
            text = text[:at] + piece + text[at:]
        else:
            text = text[:at] + piece + text[at + 1 :]
        text = text or b" "
    return text


@settings(thorough, max_examples=400)
@given(seed=st.integers(0, 2**32), change=st.integers(0, 2**32))
def test_any_broken_file(tmp_path: Path, seed: int, change: int) -> None:
    demand_same(tmp_path / "broken.json", mutated(Writer(seed).file(4).encode(), change))


@settings(thorough, max_examples=300)
@given(
    numbers=st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.floats(-1e4, 1e4).map(lambda value: f"{value:.2f}"),
            st.tuples(st.integers(0, 10**20), st.integers(-400, 400)).map(lambda pair: f"{pair[0]}e{pair[1]}"),
            st.tuples(st.integers(0, 10**18), st.integers(0, 10**18)).map(lambda pair: f"-{pair[0]}.{pair[1]}"),
        ),
        min_size=6,
        max_size=20,
    )
)
def test_any_number(tmp_path: Path, numbers: list[str]) -> None:
    assume(len(numbers) % 2 == 0)
    annotation = f'{{"id":1,"image_id":1,"category_id":1,"area":{numbers[0]},"bbox":[{",".join(numbers[:4])}]'
    images = '"images":[{"id":1,"file_name":"a","width":6,"height":4}],"categories":[{"id":1,"name":"a"}]'
    masks = f'"segmentation":[[{",".join(numbers)}]]'
    demand_same(tmp_path / "one.json", f'{{{images},"annotations":[{annotation},{masks}}}]}}'.encode())


@settings(thorough, max_examples=300)
@given(digits=st.integers(1, 10**18 - 1), power=st.integers(-40, 11))
def test_numbers_are_exactly_rounded(tmp_path: Path, digits: int, power: int) -> None:
    """Against Python's own conversion, and without leaving the file to the typed reader."""
    content = {
        "images": [{"id": 1, "file_name": "a", "width": 6, "height": 4}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "area": "?"}],
        "categories": [{"id": 1, "name": "a"}],
    }
    path = tmp_path / "one.json"
    path.write_text(json.dumps(content).replace('"?"', f"{digits}e{power}"))
    assert scanned(path)
    assert read_columns(path, scan=True)["area"].tolist() == [float(f"{digits}e{power}")]


def test_usual_files_are_scanned(tmp_path: Path, real_data: Path) -> None:
    assert scanned(real_data / "coco_mix" / "annotations" / "instances_val.json")
    path = tmp_path / "any.json"
    for indent in (None, 1):
        content = json.loads((real_data / "coco_mix" / "annotations" / "instances_val_truemasks.json").read_text())
        path.write_text(json.dumps(content, indent=indent))
        assert scanned(path)
        demand_same(path, path.read_bytes())


def test_a_record_longer_than_the_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotation_columns, "_WINDOW", 64)
    ring = [coordinate for x in range(300) for coordinate in (x / 8, -x * 1e-7)]
    content = {
        "images": [{"id": 1, "file_name": "a", "width": 6, "height": 4}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 5, "segmentation": [ring[: 6 + 198 * n]]} for n in range(4)
        ],
        "categories": [{"id": 5, "name": "a"}],
    }
    path = tmp_path / "long.json"
    demand_same(path, json.dumps(content).encode())
    assert scanned(path)
    assert read_columns(path, scan=True)["points"][-1].tolist() == ring[598:]


@pytest.mark.parametrize("window", [64, 1 << 19])
def test_run_length_strings_of_any_length_and_with_escapes_at_any_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(annotation_columns, "_WINDOW", window)
    rng = generator(0, "strings")
    texts = ["".join(rng.choice(["\\", "0", "o"], length)) for length in range(100)]
    masks = [{"size": [4, 6], "counts": text} for text in texts]
    content = {
        "images": [{"id": 1, "file_name": "a", "width": 6, "height": 4}],
        "categories": [{"id": 5, "name": "a"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 5, "segmentation": mask} for n, mask in enumerate(masks)
        ],
    }
    path = tmp_path / "strings.json"
    text = json.dumps(content).encode()
    demand_same(path, text)
    assert scanned(path)
    assert read_columns(path, scan=True)["rle_text"].tobytes().decode() == "".join(texts)
    for end in range(1, 40):  # cut off
        demand_same(path, text[:-end])

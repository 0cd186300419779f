"""One fault planted at a time: check names it, its record and its mend, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aeret.data import check as check_module
from aeret.data.check import Finding, check
from aeret.data.collection import read_collection
from aeret.data.rules import RULES
from aeret.errors import DataError
from aeret.progress import silent
from aeret.rng import generator

Content = dict[str, Any]
SQUARE = [2, 2, 8, 2, 8, 8, 2, 8]


def picture(width: int = 20, height: int = 12) -> Image.Image:
    return Image.fromarray(generator(0, "picture").integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture
def collection(tmp_path: Path) -> tuple[Content, Path]:
    """A sound collection of three photos, its content and its photo folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "abc":
        picture().save(folder / f"{name}.jpg")
    content = {
        "info": {"description": "sound"},
        "images": [{"id": i, "file_name": f"{'abc'[i]}.jpg", "width": 20, "height": 12} for i in range(3)],
        "annotations": [
            {"id": 10 + i, "image_id": i % 3, "category_id": 1 + i % 2, "bbox": [2, 2, 6, 6], "area": 36, "iscrowd": 0}
            | {"segmentation": [SQUARE] if i < 3 else {"size": [12, 20], "counts": [100, 40, 100]}}
            for i in range(5)
        ],
        "categories": [{"id": 1, "name": "cat", "supercategory": "animal"}, {"id": 2, "name": "cup"}],
    }
    return content, folder


def findings(content: Content | str, folder: Path, photos: bool = True) -> list[Finding]:
    path = folder.parent / "instances.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return check(path, folder if photos else None, silent)


def annotation(**change: Any) -> Callable[[Content, Path], None]:
    return lambda content, folder: content["annotations"][1].update(change)


def without(section: str, key: str) -> Callable[[Content, Path], None]:
    return lambda content, folder: content[section][1].pop(key)


def named(file_name: str) -> Callable[[Content, Path], None]:
    return lambda content, folder: content["images"][1].update(file_name=file_name)


def photo(save: Callable[[Path], None]) -> Callable[[Content, Path], None]:
    return lambda content, folder: save(folder / "b.jpg")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(12, 20).save(path, exif=exif)


# fault -> (how it is planted, rule, where)
FAULTS: dict[str, tuple[Callable[[Content, Path], Any], str, str]] = {
    "missing image key": (without("images", "height"), "missing-key", "image 1"),
    "missing image id": (without("annotations", "id"), "missing-key", "annotation record 1"),
    "missing category key": (without("categories", "name"), "missing-key", "category 2"),
    "missing annotation key": (without("annotations", "category_id"), "missing-key", "annotation 11"),
    "missing section": (lambda c, f: c.update(categories=None), "missing-section", "categories"),
    "group 0": (lambda c, f: c["categories"][1].update(supercategory=0), "bad-value", "category 2"),
    "group of nothing": (lambda c, f: c["categories"][1].update(supercategory=[]), "bad-value", "category 2"),
    "record no record": (lambda c, f: c["categories"].append(5), "bad-value", "category record 2"),
    "width 0": (lambda c, f: c["images"][1].update(width=0), "bad-value", "image 1"),
    "text for an id": (annotation(id="11"), "bad-value", "annotation record 1"),
    "crowd of 2": (annotation(iscrowd=2), "bad-value", "annotation 11"),
    "crowd of 1.0": (annotation(iscrowd=1.0), "bad-value", "annotation 11"),
    "crowd none": (annotation(iscrowd=None), "bad-value", "annotation 11"),
    "absolute file name": (named("/etc/hostname"), "bad-value", "image 1"),
    "file name of Windows": (named("C:\\b.jpg"), "bad-value", "image 1"),
    "file name that leads out": (named("x/../../b.jpg"), "bad-value", "image 1"),
    "file name with NUL": (named("b.jpg\0"), "bad-value", "image 1"),
    "half a letter in a file name": (named("\ud800.jpg"), "bad-value", "image 1"),
    "half a letter in a name": (lambda c, f: c["categories"][1].update(name="\ud800"), "bad-value", "category 2"),
    "half a letter in a group": (
        lambda c, f: c["categories"][1].update(supercategory="\ud800"),
        "bad-value",
        "category 2",
    ),
    "two names": (lambda c, f: c["categories"][1].update(name="cat"), "duplicate-name", "category 2"),
    "box of three": (annotation(bbox=[1, 2, 3]), "bad-value", "annotation 11"),
    "text for a mask": (annotation(segmentation="x"), "bad-value", "annotation 11"),
    "part no list": (annotation(segmentation=["x"]), "bad-value", "annotation 11"),
    "NaN box": (annotation(bbox=[1, float("nan"), 3, 3]), "not-finite", "annotation 11"),
    "infinite area": (annotation(area=float("inf")), "not-finite", "annotation 11"),
    "long number in a box": (annotation(bbox=[10**400, 1, 1, 1]), "not-finite", "annotation 11"),
    "long number in a polygon": (annotation(segmentation=[[10**400, *SQUARE[1:]]]), "not-finite", "annotation 11"),
    "large number in a polygon": (
        annotation(segmentation=[[*SQUARE[:2], 10**200, 10**200, *SQUARE[4:]]]),
        "outside-polygon",
        "annotation 11",
    ),
    "long number for an id": (annotation(id=10**400), "not-finite", "annotation record 1"),
    "long number in an RLE": (
        annotation(segmentation={"size": [12, 20], "counts": [10**400]}),
        "bad-value",
        "annotation 11",
    ),
    "NaN polygon": (annotation(segmentation=[[float("nan"), *SQUARE[1:]]]), "not-finite", "annotation 11"),
    "same image id": (
        lambda c, f: c["images"].append(c["images"][1] | {"file_name": "a.png"}),
        "duplicate-id",
        "image 1",
    ),
    "same annotation id": (annotation(id=10), "duplicate-id", "annotation 10"),
    "same category id": (lambda c, f: c["categories"].append({"id": 2, "name": "x"}), "duplicate-id", "category 2"),
    "same file": (lambda c, f: c["images"].append(c["images"][1] | {"id": 9}), "duplicate-file", "image 9"),
    "unknown photo": (annotation(image_id=77), "unknown-photo", "annotation 11"),
    "unknown category": (annotation(category_id=77), "unknown-category", "annotation 11"),
    "no part": (annotation(segmentation=[]), "empty-polygon", "annotation 11"),
    "empty part": (annotation(segmentation=[SQUARE, []]), "empty-polygon", "annotation 11"),
    "odd part": (annotation(segmentation=[SQUARE[:-1]]), "odd-polygon", "annotation 11"),
    "two points": (annotation(segmentation=[SQUARE[:4]]), "degenerate-polygon", "annotation 11"),
    "RLE of another size": (
        annotation(segmentation={"size": [20, 12], "counts": [100, 40, 100]}),
        "bad-rle",
        "annotation 11",
    ),
    "RLE too short": (annotation(segmentation={"size": [12, 20], "counts": [100, 40]}), "bad-rle", "annotation 11"),
    "RLE negative": (annotation(segmentation={"size": [12, 20], "counts": [300, -60]}), "bad-rle", "annotation 11"),
    "RLE string of another mask": (
        annotation(segmentation={"size": [12, 20], "counts": "51"}),
        "bad-rle",
        "annotation 11",
    ),
    "RLE string of other letters": (
        annotation(segmentation={"size": [12, 20], "counts": "é "}),
        "bad-rle",
        "annotation 11",
    ),
    "RLE without counts": (annotation(segmentation={"size": [12, 20]}), "missing-key", "annotation 11"),
    "counts of text": (annotation(segmentation={"size": [12, 20], "counts": ["a"]}), "bad-value", "annotation 11"),
    "outside": (annotation(segmentation=[[2, 2, 25, 2, 8, 8]]), "outside-polygon", "annotation 11"),
    "above": (annotation(segmentation=[[2, -3, 8, 2, 8, 8]]), "outside-polygon", "annotation 11"),
    "tiny": (annotation(segmentation=[[2, 2, 3, 2, 3, 3]]), "tiny-polygon", "annotation 11"),
    "a line": (annotation(segmentation=[[2, 2, 4, 4, 8, 8]]), "tiny-polygon", "annotation 11"),
    "no mask": (without("annotations", "segmentation"), "no-segmentation", "annotation 11"),
    "missing photo": (photo(Path.unlink), "missing-photo", "image 1"),
    "truncated photo": (photo(cut), "truncated-photo", "image 1"),
    "no photo": (photo(lambda path: path.write_text("<html>")), "truncated-photo", "image 1"),
    "empty photo": (photo(lambda path: path.write_bytes(b"")), "truncated-photo", "image 1"),
    "photo of another size": (photo(lambda path: picture(12, 20).save(path)), "photo-size", "image 1"),
    "grey photo": (photo(lambda path: picture().convert("L").save(path)), "grey-photo", "image 1"),
    "palette photo": (photo(lambda path: picture().convert("P").save(path, "PNG")), "grey-photo", "image 1"),
    "RGBA photo": (photo(lambda path: picture().convert("RGBA").save(path, "PNG")), "alpha-photo", "image 1"),
    "CMYK photo": (photo(lambda path: picture().convert("CMYK").save(path)), "cmyk-photo", "image 1"),
    "EXIF-rotated photo": (photo(turned), "rotated-photo", "image 1"),
}


def test_a_sound_collection_has_no_finding(collection: tuple[Content, Path]) -> None:
    assert findings(*collection) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_names_what_is_planted_and_nothing_else(collection: tuple[Content, Path], fault: str) -> None:
    content, folder = collection
    plant, rule, where = FAULTS[fault]
    plant(content, folder)
    # The copy of a record under another name has no photo, which is not the fault that is meant.
    found = [finding for finding in findings(content, folder) if not finding.file.endswith("a.png")]
    assert [(finding.rule, finding.where.split(" (")[0]) for finding in found] == [(rule, where)]
    finding = found[0]
    assert finding.severity == RULES[rule].severity and finding.mend == RULES[rule].mend and finding.problem
    expected = (
        "b.jpg" if (rule.endswith("photo") and rule != "unknown-photo") or rule == "photo-size" else "instances.json"
    )
    assert finding.file.endswith(expected)


@pytest.mark.parametrize("fault", [fault for fault, (_, rule, _) in FAULTS.items() if "photo" not in rule])
def test_the_reader_refuses_what_check_calls_an_error(collection: tuple[Content, Path], fault: str) -> None:
    """And takes what check calls a warning."""
    content, folder = collection
    plant, rule, _ = FAULTS[fault]
    plant(content, folder)
    found = findings(content, folder, photos=False)
    path = folder.parent / "instances.json"
    if RULES[rule].severity == "warning":
        read_collection(path)
    else:
        assert any(finding.severity == "error" for finding in found)
        with pytest.raises(DataError):
            read_collection(path)


def test_every_rule_is_planted_and_documented() -> None:
    import aeret.data.rules

    planted = {rule for _, rule, _ in FAULTS.values()} | {"truncated-json", "duplicate-section"}
    # Those of a collection are planted in test_check_collection.py.
    planted |= {"missing-file", "bad-list", "empty-split", "shared-photo", "category-conflict"}
    assert planted == set(RULES)
    table = aeret.data.rules.__doc__ or ""
    for rule, facts in RULES.items():
        (line,) = [line for line in table.splitlines() if line.startswith(f"``{rule}``")]
        assert line.split()[1] == facts.severity


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_size_of_a_turned_photo_is_compared_upright(
    collection: tuple[Content, Path], orientation: int, kind: str
) -> None:
    content, folder = collection
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = (20, 12) if orientation == 3 else (12, 20)
    picture(*stored).save(folder / "b.jpg", kind, exif=exif)
    assert [finding.rule for finding in findings(content, folder)] == ["rotated-photo"]
    content["images"][1].update(width=12, height=20)
    content["annotations"] = []
    assert [finding.rule for finding in findings(content, folder)] == ["photo-size", "rotated-photo"]


def test_all_faults_in_one_pass(collection: tuple[Content, Path]) -> None:
    content, folder = collection
    content["annotations"][0].update(category_id=9, bbox=[1, 1, float("inf"), 1], segmentation=[[], [1, 2, 3]])
    content["annotations"][3].update(image_id=9)
    (folder / "a.jpg").unlink()
    cut(folder / "c.jpg")
    found = [(finding.rule, finding.where) for finding in findings(content, folder)]
    assert found == [
        ("not-finite", "annotation 10"),
        ("unknown-category", "annotation 10"),
        ("empty-polygon", "annotation 10"),
        ("odd-polygon", "annotation 10"),
        ("unknown-photo", "annotation 13"),
        ("missing-photo", "image 0"),
        ("truncated-photo", "image 2"),
    ]


def test_every_cut_is_found(collection: tuple[Content, Path]) -> None:
    content, folder = collection
    text = json.dumps(content)
    for end in [*range(0, len(text) - 1, 5), len(text) - 1]:
        assert [each.rule for each in findings(text[:end], folder, photos=False)] == ["truncated-json"]


def test_text_after_the_end_and_bytes_that_are_no_text(collection: tuple[Content, Path]) -> None:
    content, folder = collection
    text = json.dumps(content)
    (found,) = findings(text + "{}", folder, photos=False)
    assert found.rule == "truncated-json" and f"byte {len(text) + 1}" in found.problem
    path = folder.parent / "instances.json"
    path.write_bytes(b'{"images": [\xff')
    assert [(finding.rule, finding.where) for finding in check(path, None, silent)] == [("truncated-json", "byte 12")]


def test_what_is_wrong_where_nothing_reads_it_is_no_problem(collection: tuple[Content, Path]) -> None:
    content, folder = collection
    content["info"] = {"version": float("nan")}
    content["images"][1].update(rating={"a": float("inf")}, urls=["\ud800", "\ud83d\ude00"])
    assert findings(content, folder) == []
    assert len(read_collection(folder.parent / "instances.json")) == 3


def test_deep_nesting_is_refused(collection: tuple[Content, Path]) -> None:
    content, folder = collection
    text = json.dumps(content).replace('"sound"', "[" * 3000 + "]" * 3000)
    (found,) = findings(text, folder, photos=False)
    assert (found.rule, found.problem) == ("truncated-json", "is nested too deeply")


def test_check_and_reader_agree_on_mutated_files(collection: tuple[Content, Path]) -> None:
    """Seeded mutations of a sound file: an error of check is a refusal of the reader, and the other way round."""
    content, folder = collection
    text = json.dumps(content)
    rng = generator(0, "mutations")
    odd = [None, -1, 0, 1.5, "x", "", [], {}, [[]], True, 2**70, float("nan"), [1, 2, 3], {"size": [12, 20]}]
    for number in range(300):
        changed = json.loads(text)
        if number % 3 == 0:  # of the text
            at = int(rng.integers(len(text)))
            mutated = text[:at] + str(rng.choice(list('{}[],:"0a\\ '))) + text[at + int(rng.integers(2)) :]
        else:  # of a value
            section = str(rng.choice(["images", "annotations", "categories"]))
            record = changed[section][int(rng.integers(len(changed[section])))]
            key = str(rng.choice(sorted(record)))
            if number % 3 == 1:
                record[key] = odd[int(rng.integers(len(odd)))]
            else:
                del record[key]
            mutated = json.dumps(changed)
        errors = [each for each in findings(mutated, folder, photos=False) if each.severity == "error"]
        try:
            read_collection(folder.parent / "instances.json")
        except DataError as error:
            assert errors and errors[0].problem in str(error)
        else:
            assert not errors


def test_photos_of_one_id_are_each_compared_with_their_own_record(collection: tuple[Content, Path]) -> None:
    content, folder = collection
    content["images"][1].update(id=0, width=12, height=20)
    picture(12, 20).save(folder / "b.jpg")
    content["annotations"] = [content["annotations"][0] | {"segmentation": [[2, 2, 19, 2, 19, 11]]}]
    assert [(finding.rule, finding.where) for finding in findings(content, folder)] == [("duplicate-id", "image 0")]
    # That of a record copied whole is told, too.
    content["images"][1] = content["images"][0]
    assert {finding.rule for finding in findings(content, folder)} == {"duplicate-id", "duplicate-file"}


def test_a_photo_without_an_id_is_compared_with_its_own_record(collection: tuple[Content, Path]) -> None:
    content, folder = collection
    del content["images"][1]["id"]
    content["images"][1].update(width=12, height=20)
    content["images"][2]["id"] = 1  # the place of the record without an id
    content["annotations"] = []
    picture(12, 20).save(folder / "b.jpg")
    where = "image record 1 (counted from 0)"
    assert [(finding.rule, finding.where) for finding in findings(content, folder)] == [("missing-key", where)]
    picture().save(folder / "b.jpg")
    found = [(finding.rule, finding.where) for finding in findings(content, folder)]
    assert found == [("missing-key", where), ("photo-size", where)]
    content["images"][0]["file_name"] = "b.jpg"
    (folder / "a.jpg").unlink()
    problems = {finding.rule: finding.problem for finding in findings(content, folder)}
    assert problems["duplicate-file"] == "file_name 'b.jpg' is also that of image 0"


@pytest.mark.parametrize("section", ["images", "annotations", "categories"])
def test_a_section_given_twice(collection: tuple[Content, Path], section: str) -> None:
    content, folder = collection
    found = findings(f'{json.dumps(content)[:-1]}, "{section}": []}}', folder)
    assert [(finding.rule, finding.where, finding.severity) for finding in found] == [
        ("duplicate-section", section, "error")
    ]
    assert "join" in found[0].mend


def test_a_group_without_a_name_is_none(collection: tuple[Content, Path]) -> None:
    content, folder = collection
    for group in ("", None):
        content["categories"][1].update(supercategory=group)
        assert findings(content, folder) == []
        assert read_collection(folder.parent / "instances.json").supercategories == ("animal", "cup")


def test_absent_file_and_folder(collection: tuple[Content, Path]) -> None:
    content, folder = collection
    findings(content, folder)
    with pytest.raises(DataError, match="is not a file"):
        check(folder / "none.json", None, silent)
    with pytest.raises(DataError, match="is not a folder"):
        check(folder.parent / "instances.json", folder / "none", silent)


def test_processes_find_the_same(collection: tuple[Content, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    content, folder = collection
    (folder / "a.jpg").unlink()
    cut(folder / "c.jpg")
    expected = findings(content, folder)
    assert len(expected) == 2
    monkeypatch.setattr(check_module, "_INLINE", 0)
    monkeypatch.setattr(check_module, "_PER_TASK", 1)
    assert check(folder.parent / "instances.json", folder, silent, workers=2) == expected


def test_real_collections_have_only_tiny_polygons(real_data: Path) -> None:
    found = check(real_data / "coco_mix" / "annotations" / "instances_val.json", None, silent)
    assert {finding.rule for finding in found} == {"tiny-polygon"}
    assert len(found) < 20

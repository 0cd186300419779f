"""What happens to each malformed thing in a COCO file or a photo: the table of reader, check and user guide.

An *error* stops every command until the file is mended; a *warning* is handled by the rule stated here, and counted.
Nothing is dropped silently.

========================  ========  ==================================================================================
rule                      severity  what aeret does
========================  ========  ==================================================================================
``truncated-json``        error     the file ends early or is not JSON: refused; records before the break are checked
``missing-section``       error     ``images``, ``annotations`` or ``categories`` is absent or no list: refused
``duplicate-section``     error     one of these three is given twice (other readers keep the last only): refused
``missing-key``           error     a record without a key that aeret needs: refused
``bad-value``             error     a value of the wrong type or range (width 0, a text for a number, a ``file_name``
                                    that leads out of the photo folder): refused
``not-finite``            error     NaN or infinity in a box, an area or a polygon: refused
``duplicate-id``          error     two images, annotations or categories with one id: refused
``duplicate-file``        error     two image records with one ``file_name``: refused
``unknown-photo``         error     an annotation whose ``image_id`` is in no image record: refused
``unknown-category``      error     an annotation whose ``category_id`` is in no category record: refused
``empty-polygon``         error     a segmentation with no part, or a part with no coordinate: refused
``odd-polygon``           error     a part with an odd number of coordinates: refused
``degenerate-polygon``    error     a part with fewer than three points: refused
``bad-rle``               error     runs whose sizes do not sum to the mask, or a mask of another size than the photo's
                                    record: refused
``missing-photo``         error     a file named in a record is not in the photo folder: refused
``missing-file``          error     a photo folder, annotation file, subset or list of ids of the manifest is absent:
                                    refused
``bad-list``              error     a subset that is no annotation file, or a list of ids with anything else in it, or
                                    with a photo that its source has not: refused
``empty-split``           error     a split without photos: refused
``shared-photo``          error     one photo in two splits that have to be disjoint: refused
``category-conflict``     error     one category id with two names or supercategories in two sources: refused
``truncated-photo``       error     a file that cannot be decoded to its last row: refused
``photo-size``            error     a photo whose size (upright) is not its record's: refused, its masks would not fit
``duplicate-name``        warning   two categories of one name, in a file or in two sources: kept apart, by their ids
``outside-polygon``       warning   clipped at the border of the photo
``tiny-polygon``          warning   below one square pixel, or none at all: kept as a label; its mask may vanish
``no-segmentation``       warning   kept as a label; has no mask
``grey-photo``            warning   grey, palette and 16-bit photos are converted to RGB (more than 8 bits: the
                                    high byte of 16)
``alpha-photo``           warning   the alpha channel is dropped after blending over black
``cmyk-photo``            warning   CMYK, YCCK and other colours are converted to RGB
``rotated-photo``         warning   turned upright by its EXIF orientation before anything else
========================  ========  ==================================================================================

Keys that aeret needs: ``id``, ``file_name``, ``width``, ``height`` of an image; ``id``, ``image_id``, ``category_id``
of an annotation; ``id`` and ``name`` of a category. ``iscrowd`` is 0 where absent, ``supercategory`` is the category's
own name, ``bbox`` and ``area`` are NaN (no stage reads them).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]


class Problem(NamedTuple):
    """One broken rule: its name, the record or place, and what is wrong there."""

    rule: str
    where: str
    text: str


@dataclass(frozen=True)
class Rule:
    """One row of the table above: how bad it is, and how the user mends it."""

    severity: Severity
    mend: str


RULES: dict[str, Rule] = {
    "truncated-json": Rule("error", "fetch or write the file again: it is cut off or is not JSON"),
    "missing-section": Rule("error", "give the file the three lists images, annotations and categories"),
    "duplicate-section": Rule("error", "join the lists of the section into one, or remove the one that is too many"),
    "missing-key": Rule("error", "add the key to the record, or remove the record"),
    "bad-value": Rule("error", "correct the value in the record"),
    "not-finite": Rule("error", "replace NaN and infinity by numbers, or remove the annotation"),
    "duplicate-id": Rule("error", "give each record its own id, or remove the copy"),
    "duplicate-file": Rule("error", "keep one record for the file and point its annotations there"),
    "unknown-photo": Rule("error", "add the image record, or remove the annotation"),
    "unknown-category": Rule("error", "add the category record, or correct category_id"),
    "empty-polygon": Rule("error", "remove the empty part, or leave the segmentation key out (label without mask)"),
    "odd-polygon": Rule("error", "write the part as x, y pairs"),
    "degenerate-polygon": Rule("error", "remove the part: it needs at least three points"),
    "bad-rle": Rule("error", "write the runs again for the size [height, width] of the image record"),
    "missing-photo": Rule("error", "put the file into the photo folder, or remove its image record"),
    "missing-file": Rule("error", "put it there, or correct the path in the manifest"),
    "bad-list": Rule("error", "correct the file, or its path in the manifest"),
    "empty-split": Rule("error", "give the split another part, list of ids or source"),
    "shared-photo": Rule("error", "give each split photos of its own"),
    "category-conflict": Rule("error", "give each category one id and one name in all sources of the manifest"),
    "truncated-photo": Rule("error", "fetch the file again: it cannot be decoded to its end"),
    "photo-size": Rule("error", "correct width and height in the image record, or put the right photo there"),
    "duplicate-name": Rule("warning", "none needed: kept apart; give both one id if they are the same"),
    "outside-polygon": Rule("warning", "none needed: clipped at the border"),
    "tiny-polygon": Rule("warning", "none needed: the label stays, the mask may vanish"),
    "no-segmentation": Rule("warning", "none needed: the label stays, there is no mask"),
    "grey-photo": Rule("warning", "none needed: converted to RGB"),
    "alpha-photo": Rule("warning", "none needed: blended over black"),
    "cmyk-photo": Rule("warning", "none needed: converted to RGB"),
    "rotated-photo": Rule("warning", "none needed: turned upright"),
}

_OUTSIDE = re.compile(r"[/\\]|[A-Za-z]:[/\\]|(?:.*[/\\])?\.\.(?:[/\\]|$)", re.DOTALL)
_HALF = re.compile("[\ud800-\udfff]")


def name_problem(file_name: str) -> str | None:
    """Return why a photo cannot have this file name, or None."""
    return "not a path below the photo folder" if _OUTSIDE.match(file_name) else text_problem(file_name)


def text_problem(text: str) -> str | None:
    """Return why a text cannot be a name, or None."""
    if not text:
        return "an empty name"
    # JSON can encode half a surrogate pair, which no file name and no screen can show; the reader turns it into NUL.
    return "which holds NUL or half a surrogate pair" if "\0" in text or _HALF.search(text) else None

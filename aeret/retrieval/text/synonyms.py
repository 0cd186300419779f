"""List everyday synonyms and irregular plurals of category names.

A synonym applies only if the collection has the category and no category of the synonym's own name.
"""

from __future__ import annotations

SYNONYMS: dict[str, tuple[str, ...]] = {
    "aeroplane": ("airplane", "plane"),
    "airplane": ("plane",),
    "bike": ("bicycle",),
    "cellphone": ("cell phone",),
    "child": ("person",),
    "couch": ("sofa",),
    "cycle": ("bicycle",),
    "desk": ("dining table", "table"),
    "fridge": ("refrigerator",),
    "hairdryer": ("hair drier",),
    "human": ("person",),
    "hydrant": ("fire hydrant",),
    "lamppost": ("street lamp",),
    "lorry": ("truck",),
    "man": ("person",),
    "mobile phone": ("cell phone",),
    "motorbike": ("motorcycle",),
    "phone": ("cell phone",),
    "plane": ("airplane",),
    "plant": ("potted plant",),
    "pottedplant": ("potted plant",),
    "racket": ("tennis racket",),
    "ship": ("boat",),
    "sofa": ("couch",),
    "stoplight": ("traffic light",),
    "streetlight": ("street lamp",),
    "table": ("dining table",),
    "teddy": ("teddy bear",),
    "television": ("tv",),
    "traffic signal": ("traffic light",),
    "woman": ("person",),
}
"""Singular synonym to categories; the first one in the collection is meant."""

IRREGULAR: dict[str, str] = {
    "child": "children",
    "knife": "knives",
    "man": "men",
    "mouse": "mice",
    "person": "people",
    "sheep": "sheep",
    "woman": "women",
}
"""Singular to irregular plural."""

"""Draw the built-in collection: photos of streets, fields, lakes, parks, airfields, rooms and gardens.

``layout`` decides what stands where, ``objects`` and its drawings say what things look like, ``backdrop`` and
``canvas`` paint, ``render`` makes one photo with its masks, ``write`` a whole COCO-format collection.
"""

from aeret.data.scenes.write import VERSION, generate_scenes

__all__ = ["VERSION", "generate_scenes"]

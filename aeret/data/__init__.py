"""COCO-format collections in; columns, checked findings, bit-packed mask planes and prepared arrays out.

``collection`` reads a COCO file into columns, ``check`` lists everything wrong with one by the table in ``rules``, and
``masks`` turns its polygons and runs into planes of area coverage. NumPy only: nothing here knows Keras.
"""

"""Text as a query: category names and simple relations, compiled to a layout and to labels. No language model.

``grammar.parse`` reads a text into a :class:`~aeret.retrieval.text.scene.Scene`; ``layout.compile_layout`` places its
things; ``search`` ranks photos by what was predicted from them; ``truth.holds`` says where a query is true.
"""

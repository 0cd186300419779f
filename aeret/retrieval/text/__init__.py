"""Search by text: category names and spatial relations, without a language model.

``grammar.parse`` reads a text into a :class:`~aeret.retrieval.text.scene.Scene`; ``layout.compile_layout`` places its
objects; ``search.rank`` ranks photos by their predictions; ``truth.holds`` decides in which photos a query is true.
"""

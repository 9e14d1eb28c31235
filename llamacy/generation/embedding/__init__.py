"""Embeddings: many texts to one vector each, in passes that leave nothing behind.

A call reads its texts in windows: `reading` makes tokens of them, `packing` puts them
into passes, longest first, and `queue` runs the passes on the worker's thread, in turn
with those of texts that are generated. `vectors` is the result.
"""

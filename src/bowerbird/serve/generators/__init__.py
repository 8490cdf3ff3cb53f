"""The model side of the engine: what it asks of a generator (`base`), and the systems that can be one.

A further system that retrieves is one file here and one line in `opening`.
"""

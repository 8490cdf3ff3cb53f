"""A map of the catalogue: every item a place on a plane, like items near each other.

`vectors` says which vectors are drawn, `layout` puts them on the plane, `child` does so in a process of its own (run as
`python -m bowerbird.serve.map`), `drawing` is what comes of it, `maker` makes one per release when somebody asks.
"""

from bowerbird.serve.map.drawing import CatalogueMap
from bowerbird.serve.map.maker import Making, MapFailedError, MapMaker
from bowerbird.serve.map.vectors import NoMapError, has_vectors

__all__ = ["CatalogueMap", "Making", "MapFailedError", "MapMaker", "NoMapError", "has_vectors"]

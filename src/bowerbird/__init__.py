"""Bowerbird: an open discovery engine.

A platform's own tables go in (who saw what and what they did, what items say); one served system comes out.
The packages are floors of one house; a package imports only packages on lower floors:

``tables`` ``nn``  →  ``learn`` ``index`` ``evaluate``  →  the systems (``recommend`` …)  →  ``serve``  →  ``cli``
"""

__version__ = "0.1.0"

"""The face of Bowerbird: an engine without HTTP in it, a thin HTTP layer over it, and one page.

- `engine.Engine` answers requests (`request.py`) with responses (`response.py`): history, generate, guard,
  answer.
- `generators.base.Generator` is the seam to the model side; a system that retrieves fits behind it.
- `api/` puts the engine on HTTP, `console/` is the page it serves.
"""

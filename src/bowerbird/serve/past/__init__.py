"""The past that a request is answered from: a user's stored and posted events, or a history sent along.

- `window.py`: which events of a long history a model reads.
- `history.py`: what the engine needs of the place where posted events are kept.
- `trails.py`: stored and posted events of a user as one history, kept and continued.
- `given.py`: a history that came with the request.
"""

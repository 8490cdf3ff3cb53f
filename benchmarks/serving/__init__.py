"""What `cost.py` and `load.py` share: a platform to serve, arms to compare, an open-loop client."""

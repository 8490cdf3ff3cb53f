"""Interaction logs: what people did, with times or at least in order."""

"""Nearest neighbours behind one interface."""

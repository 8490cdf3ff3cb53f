"""Sections of the results page, each from one result file."""

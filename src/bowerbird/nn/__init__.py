"""Torch building blocks shared by every system."""

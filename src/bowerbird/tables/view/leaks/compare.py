"""Bit equality of whatever a read returns, and words for the first place where two results differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from bowerbird.tables.errors import ConfigError, shorten
from bowerbird.tables.view.rows.events import VisibleEvents
from bowerbird.tables.view.rows.slates import Slates
from bowerbird.tables.view.rows.trends import TrendTable


def settle(value: Any) -> Any:
    """A result as something that can be looked at twice: iterators, lazy frames and lazy rows are read "
    "out."""
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if isinstance(value, VisibleEvents):
        return value.all()
    if isinstance(value, Slates):
        return list(value.batches(4096))
    if isinstance(value, TrendTable):
        return vars(value)
    if isinstance(value, Mapping):
        return {key: settle(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | Iterator):
        return [settle(entry) for entry in value]
    return value


def difference(left: Any, right: Any, path: str = "result") -> str | None:
    """Where two settled results differ first, as words; None where they are equal bit by bit.

    Understood: numbers, text, bytes, None, NumPy arrays, torch tensors, SciPy sparse matrices, Polars frames,
    data classes, mappings, sequences and sets of these.

    Raises:
        ConfigError: A result holds something else.
    """
    if left is right:
        return None
    if type(left) is not type(right):
        return f"{path}: {type(left).__name__} against {type(right).__name__}"
    if isinstance(left, np.ndarray | np.generic):
        return _arrays(np.asarray(left), np.asarray(right), path)
    if hasattr(left, "detach") and hasattr(left, "cpu"):  # a torch tensor, without importing torch
        return _tensors(left, right, path)
    if hasattr(left, "tocoo"):
        left, right = left.tocoo(), right.tocoo()
        parts = [(np.asarray(m.shape), m.row, m.col, m.data) for m in (left, right)]
        return _sequences(parts[0], parts[1], path)
    if _is_polars(left):
        return _frames(left, right, path)
    if dataclasses.is_dataclass(left):
        names = [f.name for f in dataclasses.fields(left)]
        pairs = ((f"{path}.{name}", getattr(left, name), getattr(right, name)) for name in names)
        return next(filter(None, (difference(a, b, p) for p, a, b in pairs)), None)
    if isinstance(left, Mapping):
        return _mappings(left, right, path)
    if left is None or isinstance(left, bool | int | float | str | bytes):
        same = repr(left) == repr(right)  # repr tells 0.0 from -0.0 and calls nan equal to nan
        return None if same else f"{path}: {shorten(left)} against {shorten(right)}"
    if isinstance(left, Sequence):
        return _sequences(left, right, path)
    if isinstance(left, Set):
        return None if left == right else f"{path}: {shorten(left ^ right)} in only one of them"
    raise ConfigError(
        f"{path} is a {type(left).__name__}, which an audit cannot compare; let the read return arrays, "
        f"tensors, "
        "frames, numbers, data classes, mappings or sequences"
    )


def _is_polars(value: Any) -> bool:
    import polars as pl

    return isinstance(value, pl.DataFrame | pl.Series)


def _arrays(left: np.ndarray, right: np.ndarray, path: str) -> str | None:
    if left.dtype != right.dtype or left.shape != right.shape:
        return f"{path}: {left.dtype}{list(left.shape)} against {right.dtype}{list(right.shape)}"
    if left.dtype == object:
        return _sequences(left.ravel().tolist(), right.ravel().tolist(), path)
    if left.tobytes() == right.tobytes():
        return None
    width = left.dtype.itemsize
    bytes_of = [np.ascontiguousarray(a).reshape(-1).view(np.uint8).reshape(-1, width) for a in (left, right)]
    first = int(np.flatnonzero((bytes_of[0] != bytes_of[1]).any(axis=1))[0])
    place = ", ".join(str(int(i)) for i in np.unravel_index(first, left.shape))
    return f"{path}[{place}]: {left.reshape(-1)[first]!r} against {right.reshape(-1)[first]!r}"


def _tensors(left: Any, right: Any, path: str) -> str | None:
    if left.dtype != right.dtype or left.shape != right.shape:
        return f"{path}: {left.dtype}{list(left.shape)} against {right.dtype}{list(right.shape)}"
    # NumPy has no bfloat16; widening to float32 keeps different values different.
    wide = [t.detach().cpu() for t in (left, right)]
    wide = [t.float() if "bfloat16" in str(t.dtype) else t for t in wide]
    return _arrays(wide[0].numpy(), wide[1].numpy(), path)


def _frames(left: Any, right: Any, path: str) -> str | None:
    if left.equals(right, null_equal=True) and getattr(left, "schema", None) == getattr(
        right, "schema", None
    ):
        return None
    if left.shape != right.shape:
        return f"{path}: table of shape {left.shape} against {right.shape}"
    names = getattr(left, "columns", None)
    if names is None or names != right.columns:
        return f"{path}: the columns differ"
    wrong = next((name for name in names if not left[name].equals(right[name], null_equal=True)), names[0])
    return f"{path}[{wrong!r}]: the values differ"


def _mappings(left: Mapping[Any, Any], right: Mapping[Any, Any], path: str) -> str | None:
    only = set(left) ^ set(right)
    if only:
        return f"{path}: keys {shorten(only)} in only one of them"
    found = (difference(left[key], right[key], f"{path}[{key!r}]") for key in left)
    return next(filter(None, found), None)


def _sequences(left: Sequence[Any], right: Sequence[Any], path: str) -> str | None:
    if len(left) != len(right):
        return f"{path}: {len(left)} entries against {len(right)}"
    found = (difference(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(left, right, strict=True)))
    return next(filter(None, found), None)

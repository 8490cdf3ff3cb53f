"""Events as flat memory-mapped columns: the history of a user is a slice, not a scan.

Shape legend: N events, U users.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from bowerbird.tables.atomic import flush, sync_folder

COLUMN_DTYPES: dict[str, np.dtype] = {
    "user": np.dtype(np.int32),
    "item": np.dtype(np.int32),
    "time": np.dtype(np.int64),
    "actions": np.dtype(np.uint32),
    "surface": np.dtype(np.int16),
    "request": np.dtype(np.int32),
    "position": np.dtype(np.int16),
    "query": np.dtype(np.int32),
    "weight": np.dtype(np.float32),
}
"""Columns of one event in the order they are kept, all little-endian."""

_HEADER = 128


@dataclass(frozen=True)
class EventColumns:
    """All events, sorted by user bucket, user, time, then the tie rule of the store.

    Rows of user `u` are `user_start[u] : user_start[u] + user_count[u]`, oldest first.

    Attributes:
        user_start: int64 (U,) first row of each user (0 where the user has none).
        user_count: int64 (U,) number of rows of each user.
        user: int32 (N,) dense user.
        item: int32 (N,) dense item.
        time: int64 (N,) milliseconds UTC.
        actions: uint32 (N,) bit mask over the action vocabulary; 0 = shown only.
        surface: int16 (N,) surface code.
        request: int32 (N,) dense slate number, -1 where the row belongs to no slate.
        position: int16 (N,) place in the slate, -1 where unknown.
        query: int32 (N,) query code, -1 where none.
        weight: float32 (N,) weight of the event, 1 by default.
    """

    user_start: np.ndarray
    user_count: np.ndarray
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    actions: np.ndarray
    surface: np.ndarray
    request: np.ndarray
    position: np.ndarray
    query: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def open(cls, folder: Path | None, n_users: int) -> EventColumns:
        """Maps the columns in `folder` (None: a store without events) for a vocabulary of `n_users`.

        Users learnt after the columns were written have no rows.
        """
        found = {f.name: _map(folder, f.name) for f in fields(cls)}
        for name in ("user_start", "user_count"):
            missing = n_users - len(found[name])
            if missing:
                found[name] = np.concatenate([found[name], np.zeros(missing, dtype=np.int64)])
        return cls(**found)


def _map(folder: Path | None, name: str) -> np.ndarray:
    dtype = COLUMN_DTYPES.get(name, np.dtype(np.int64))
    if folder is None:
        return np.empty(0, dtype=dtype)
    path = folder / f"{name}.npy"
    if path.stat().st_size <= _HEADER:  # the system cannot map an empty range
        return np.empty(0, dtype=dtype)
    return np.load(path, mmap_mode="r", allow_pickle=False)


class ColumnsWriter:
    """Appends chunks of events to one `.npy` file a column; the headers are filled in at the end.

    Args:
        folder: New folder for the files.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.rows = 0
        self._files: dict[str, BinaryIO] = {}
        for name in COLUMN_DTYPES:
            file = (folder / f"{name}.npy").open("wb")
            file.write(b"\0" * _HEADER)
            self._files[name] = file

    def append(self, chunk: dict[str, np.ndarray]) -> None:
        """Appends rows; `chunk` has one array (n,) per column of `COLUMN_DTYPES`."""
        for name, dtype in COLUMN_DTYPES.items():
            np.ascontiguousarray(chunk[name], dtype=dtype).tofile(self._files[name])
        self.rows += len(chunk["user"])

    def finish(self, n_users: int) -> None:
        """Writes the headers and the slice of each user, and flushes everything to the disk.

        Args:
            n_users: Size of the user vocabulary.
        """
        for name, file in self._files.items():
            file.seek(0)
            file.write(_header(COLUMN_DTYPES[name], self.rows))
            flush(file)
            file.close()
        user = _map(self.folder, "user")
        starts, counts = user_slices(user, n_users)
        for name, values in (("user_start", starts), ("user_count", counts)):
            with (self.folder / f"{name}.npy").open("wb") as file:
                file.write(_header(values.dtype, len(values)))
                values.tofile(file)
                flush(file)
        sync_folder(self.folder)

    def __enter__(self) -> ColumnsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()


def user_slices(user: np.ndarray, n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """First row and number of rows of each user in a column where rows of one user are contiguous.

    Args:
        user: int32 (N,).
        n_users: U.

    Returns:
        int64 (U,) starts and int64 (U,) counts; 0 and 0 for a user without rows.
    """
    starts, counts = np.zeros(n_users, dtype=np.int64), np.zeros(n_users, dtype=np.int64)
    if len(user):
        first = np.flatnonzero(np.concatenate([[True], user[1:] != user[:-1]]))
        starts[user[first]] = first
        counts[user[first]] = np.diff(np.append(first, len(user)))
    return starts, counts


def _header(dtype: np.dtype, rows: int) -> bytes:
    """The 128-byte header of format version 1.0 for a one-dimensional array."""
    text = f"{{'descr': '{dtype.newbyteorder('<').str}', 'fortran_order': False, 'shape': ({rows},), }}"
    body = text.encode("ascii").ljust(_HEADER - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body

"""One-dimensional `.npy` files: written in pieces, opened as memory maps, checked against what a manifest says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bowerbird.graph.errors import GraphError

HEADER = 128
"""Bytes before the first entry of every file written here."""

_PIECE = 1 << 24
_FIX = "build the graph again, or restore the folder from a copy"


@dataclass(frozen=True)
class ArrayFile:
    """What the manifest says about one file.

    Attributes:
        file: Path inside the graph folder.
        dtype: Type of one entry, little-endian (`"<u4"`).
        length: Number of entries.
        checksum: BLAKE2b-128 of the whole file, in hexadecimal.
    """

    file: str
    dtype: str
    length: int
    checksum: str

    @property
    def bytes(self) -> int:
        """Size that the file must have."""
        return HEADER + self.length * np.dtype(self.dtype).itemsize


class ArrayWriter:
    """Appends pieces to one `.npy` file; the header is filled in at the end.

    Args:
        path: The file; replaced if it is there.
        dtype: Type of one entry.
    """

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self.path = path
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.length = 0
        self._file: BinaryIO = path.open("wb")
        self._file.write(b"\0" * HEADER)

    def append(self, values: NDArray[Any]) -> None:
        """Appends entries (n,), cast to the type of the file."""
        np.ascontiguousarray(values, self.dtype).tofile(self._file)
        self.length += len(values)

    def close(self) -> None:
        """Writes the header; harmless when called twice."""
        if self._file.closed:
            return
        self._file.seek(0)
        self._file.write(_header(self.dtype, self.length))
        self._file.close()

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_array(path: Path, values: NDArray[Any]) -> None:
    """Writes one array (n,) to `path`."""
    with ArrayWriter(path, values.dtype) as writer:
        writer.append(values)


def map_array(path: Path) -> NDArray[Any]:
    """A file of this module as a read-only memory map (an empty array where it has no entries)."""
    with path.open("rb") as file:
        length, dtype = _read_header(file, path)
    if length == 0:  # the system cannot map an empty range
        return np.empty(0, dtype)
    return np.memmap(path, dtype, "r", HEADER, (length,))


def read_slice(path: Path, low: int, high: int) -> NDArray[Any]:
    """Entries low to high (exclusive) of a file, read and not mapped: mapped pages would count as memory in use."""
    with path.open("rb") as file:
        _, dtype = _read_header(file, path)
        return np.fromfile(file, dtype, high - low, offset=low * dtype.itemsize)


def open_array(folder: Path, expected: ArrayFile) -> NDArray[Any]:
    """Maps a file once it passed `check_array`.

    Raises:
        GraphError: The file is missing, cut short, too long, or not what the manifest says.
    """
    check_array(folder, expected)
    return map_array(folder / expected.file)


def check_array(folder: Path, expected: ArrayFile) -> None:
    """Compares size and header of a file with the manifest. Reads 128 bytes, so it is instant.

    Raises:
        GraphError: The file is missing, cut short, too long, or not what the manifest says.
    """
    check_size(folder, expected.file, expected.bytes)
    path = folder / expected.file
    with path.open("rb") as file:
        length, dtype = _read_header(file, path)
    if length != expected.length or dtype != np.dtype(expected.dtype):
        raise GraphError(
            f"graph {folder}: the file {expected.file} holds {length:,} entries of {dtype.str}, the manifest says "
            f"{expected.length:,} of {expected.dtype}.\n  Fix: {_FIX}"
        )


def check_size(folder: Path, file: str, expected: int) -> None:
    """Compares the size of a file with the manifest.

    Raises:
        GraphError: The file is missing, cut short or too long.
    """
    try:
        size = (folder / file).stat().st_size
    except FileNotFoundError as error:
        raise GraphError(f"graph {folder}: the file {file} is missing.\n  Fix: {_FIX}") from error
    if size != expected:
        state = "cut short" if size < expected else "too long"
        raise GraphError(
            f"graph {folder}: the file {file} is {state}: {size:,} bytes, the manifest says {expected:,}.\n"
            f"  Fix: {_FIX}"
        )


def describe_array(folder: Path, file: str) -> ArrayFile:
    """The manifest entry of a finished file; reads all of it for the checksum."""
    with (folder / file).open("rb") as opened:
        length, dtype = _read_header(opened, folder / file)
    return ArrayFile(file, dtype.str, length, checksum(folder / file))


def checksum(path: Path) -> str:
    """BLAKE2b-128 of a file, in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _header(dtype: np.dtype[Any], length: int) -> bytes:
    """The 128-byte header of `.npy` format 1.0 for a one-dimensional array."""
    text = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': ({length},), }}"
    body = text.encode("ascii").ljust(HEADER - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def _read_header(file: BinaryIO, path: Path) -> tuple[int, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"format {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if len(shape) != 1 or file.tell() != HEADER or dtype.hasobject:
            raise ValueError(f"shape {shape}")
    except ValueError as error:
        raise GraphError(
            f"the file {path} is not an array of a graph ({error}).\n"
            "  Fix: build the graph again, or restore the folder from a copy"
        ) from error
    return int(shape[0]), dtype

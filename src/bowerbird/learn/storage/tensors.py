"""Named torch tensors and numpy arrays as safetensors files, with errors that name the entry.

Equal content gives equal bytes. Tensors that share memory (tied weights) are stored once each; loading them
into a model ties them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file as save_tensors

from bowerbird.learn.storage.folders import FolderError


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Store dense tensors (any device, any strides) as CPU tensors.

    Raises:
        FolderError: naming the entry that is not a dense tensor.
    """
    seen: set[int] = set()
    ready: dict[str, torch.Tensor] = {}
    for name in sorted(tensors):
        tensor = tensors[name]
        if not isinstance(tensor, torch.Tensor) or tensor.layout is not torch.strided:
            raise FolderError(f"entry {name!r} is not a dense tensor but {type(tensor).__name__}")
        plain = tensor.detach().cpu().contiguous()
        storage = plain.untyped_storage().data_ptr()
        if storage in seen or plain.untyped_storage().nbytes() != plain.nbytes:
            plain = plain.clone()
        seen.add(storage)
        ready[name] = plain
    save_tensors(ready, path)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file, on the CPU.

    Raises:
        FolderError: if the file is not valid safetensors.
    """
    try:
        return load_tensors(path)
    except (SafetensorError, OSError) as error:
        raise FolderError(f"{path} cannot be read as safetensors: {error}") from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Store numpy arrays of numbers or booleans.

    Raises:
        FolderError: naming the entry whose type cannot be stored.
    """
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise FolderError(
                f"entry {name!r} is of type {kind}; only arrays of numbers and booleans can be stored"
            )
    # The byte order of a file is little-endian whatever machine wrote it; 0-d arrays keep their shape.
    ready = {
        name: np.asarray(a, dtype=a.dtype.newbyteorder("="), order="C") for name, a in sorted(arrays.items())
    }
    save_arrays(ready, path)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file.

    Raises:
        FolderError: if the file is not valid safetensors.
    """
    try:
        return load_arrays(path)
    except (SafetensorError, OSError) as error:
        raise FolderError(f"{path} cannot be read as safetensors: {error}") from error

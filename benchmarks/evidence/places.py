"""Where a bench keeps the models of its arms: one that was fitted with other settings never answers for an arm."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path


def digest(settings: Mapping[str, object]) -> str:
    """Ten characters that stand for settings."""
    return sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:10]


def place_of(folder: Path, arm: str, settings: Mapping[str, object], seed: object) -> Path:
    """The folder of an arm with these settings and this seed."""
    return folder / f"{re.sub('[^a-z0-9.]+', '-', arm)}-{digest(settings)}-{seed}"

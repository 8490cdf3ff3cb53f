"""Configuration errors in words: which key, which value, and what was probably meant."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from bowerbird.tables.errors import did_you_mean, shorten


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One line for each thing that is wrong.

    Args:
        error: What pydantic found.
        model: The model that was validated.
    """
    lines = list(dict.fromkeys(_line(dict(found), model) for found in error.errors()))
    return lines[0] if len(lines) == 1 else "\n  - " + "\n  - ".join(lines)


def _line(found: dict[str, Any], model: type[BaseModel]) -> str:
    path = tuple(part for part in found["loc"])
    kind, value = found["type"], found.get("input")
    key = _dotted(path)
    if kind == "extra_forbidden":
        parent = _model_at(path[:-1], model)
        known = [name for name in parent.model_fields if name != "folder"] if parent else []
        section = f" in [{_dotted(path[:-1])}]" if len(path) > 1 else ""
        return f"unknown key {str(path[-1])!r}{section}; {did_you_mean(str(path[-1]), known)}"
    if kind == "missing":
        return f"[{key}] is missing" if len(path) == 1 else f"key {key!r} is missing"
    message = str(found["msg"]).removeprefix("Value error, ")
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    if kind == "literal_error":
        allowed = [
            str(word).strip("' ") for word in found["ctx"]["expected"].replace(" or ", ", ").split(",")
        ]
        return f"{key} = {shorten(value)}: {did_you_mean(str(value), allowed)} Allowed: {', '.join(allowed)}"
    return f"{key} = {shorten(value)}: {message[:1].lower()}{message[1:]}"


def _dotted(path: tuple[Any, ...]) -> str:
    text = ""
    for part in path:
        # A table given once is a list of one source; people did not write the 0.
        if isinstance(part, int):
            text += f"[{part}]" if part else ""
        else:
            text += f".{part}" if text else str(part)
    return text


def _model_at(path: tuple[Any, ...], model: type[BaseModel]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    inside_mapping = False
    for part in path:
        if current is None or isinstance(part, int):
            continue
        if inside_mapping:  # the name of a column or feature, not a field of a model
            inside_mapping = False
            continue
        field = current.model_fields.get(str(part))
        if field is None:
            return None
        inside_mapping = "dict" in str(field.annotation)
        current = _inner_model(field.annotation)
    return current


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _inner_model(part))), None)

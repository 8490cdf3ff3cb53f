"""Configuration dataclasses: to and from JSON, presets by size, ``key=value`` overrides.

A configuration is a plain (frozen or not) dataclass whose fields are typed with: ``bool``, ``int``,
``float``, ``str``, ``None`` unions, ``Literal``, ``tuple``/``list`` of such, ``dict`` with string keys,
enums, paths, and other dataclasses. Unknown keys and wrong types are errors that name the key, never silently
dropped. By convention a configuration class has ``size(cls, name)`` returning its preset for ``"s"``, ``"m"``
or ``"l"``.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bowerbird.tables.errors import ConfigError, did_you_mean

C = TypeVar("C")

SIZES = ("s", "m", "l")
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_NONE = frozenset({"none", "null"})


def to_dict(config: Any) -> dict[str, Any]:
    """The JSON form of a configuration.

    Args:
        config: a dataclass instance.

    Returns:
        Nested dicts and lists of plain values; tuples become lists, enums their values, paths strings.

    Raises:
        ConfigError: if a value has no JSON form.
    """
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise ConfigError(f"a configuration must be a dataclass instance, not {type(config).__name__}")
    return {f.name: _plain(getattr(config, f.name), f.name) for f in dataclasses.fields(config)}


def from_dict(config_class: type[C], data: Mapping[str, Any], *, where: str = "") -> C:
    """Build a configuration from its JSON form, checking every key and type.

    Args:
        config_class: the dataclass to build.
        data: keys and plain values; missing keys take the dataclass's defaults.
        where: name put before the keys in error messages, e.g. ``"pinrec"``.

    Raises:
        ConfigError: for an unknown key (with the nearest known one), a wrong type, or a missing required key.
    """
    hints = _hints(config_class)
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where or config_class.__name__}: expected keys and values, got {data!r}")
    for key in data:
        if key not in hints:
            raise ConfigError(_unknown(str(key), list(hints), where))
    values = {key: _checked(value, hints[key], _join(where, key)) for key, value in data.items()}
    return _built(config_class, values, where)


def override(config: C, assignments: Sequence[str], *, where: str = "") -> C:
    """Apply command-line overrides to a configuration.

    Args:
        config: the configuration to start from; it is not changed.
        assignments: ``key=value`` strings; ``a.b=value`` reaches into a nested configuration. Values are read
            by the field's type: ``true/false`` for bool, ``1e-3`` for float, ``none`` for an optional field,
            and ``1,6,24`` or a JSON list for tuples and lists.
        where: name put before the keys in error messages.

    Returns:
        A new configuration of the same class.

    Raises:
        ConfigError: for a malformed assignment, an unknown key or a value that does not fit the type.
    """
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"cannot read the override {assignment!r}; write key=value, e.g. epochs=10")
        config = _assigned(config, key.strip().split("."), text.strip(), where)
    return config


def preset(config_class: type[C], size: str = "s") -> C:
    """The configuration of one size; a class without ``size`` has one preset, its defaults.

    Raises:
        ConfigError: if the size is none of ``s``, ``m`` and ``l``.
    """
    if size not in SIZES:
        raise ConfigError(
            f"size {size!r} is unknown; choose s (two CPU cores), m (a workstation) or l (one GPU)"
        )
    maker = getattr(config_class, "size", None)
    if maker is None:
        return config_class()
    config = maker(size)
    if not isinstance(config, config_class):
        raise ConfigError(f"{config_class.__name__}.size({size!r}) returned {type(config).__name__}")
    return config


def resolve(
    config_class: type[C],
    *,
    size: str = "s",
    values: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
) -> C:
    """Preset, then a file's values, then command-line overrides: the order every command uses.

    Args:
        config_class: the configuration dataclass.
        size: the preset to start from.
        values: keys and values, for example read from a TOML or JSON file; nested keys may be partial.
        overrides: ``key=value`` strings.

    Raises:
        ConfigError: as :func:`preset`, :func:`from_dict` and :func:`override`.
    """
    start = to_dict(preset(config_class, size))
    _check_keys(config_class, values or {}, "")
    merged = _merged(start, values or {})
    return override(from_dict(config_class, merged), overrides)


def _check_keys(config_class: type, data: Mapping[str, Any], where: str) -> None:
    """Report an unknown key under the name the user wrote, before presets are merged below it."""
    hints = _hints(config_class)
    for key, value in data.items():
        if key not in hints:
            raise ConfigError(_unknown(str(key), list(hints), where))
        if isinstance(value, Mapping) and dataclasses.is_dataclass(hints[key]):
            _check_keys(typing.cast(type, hints[key]), value, _join(where, key))


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in more.items():
        below = result.get(key)
        result[key] = (
            _merged(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
        )
    return result


def _assigned(config: C, path: list[str], text: str, where: str) -> C:
    hints = _hints(type(config))
    key, rest = path[0], path[1:]
    if key not in hints:
        raise ConfigError(_unknown(key, list(hints), where))
    name = _join(where, key)
    if rest:
        nested = getattr(config, key)
        if not dataclasses.is_dataclass(nested):
            raise ConfigError(f"{name} is a single value, so {_join(name, '.'.join(rest))} does not exist")
        value: Any = _assigned(nested, rest, text, name)
    else:
        value = _checked(_read(text, hints[key], name), hints[key], name)
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(typing.cast(Any, config)) if f.init}
    return _built(type(config), {**values, key: value}, where)


def _built(config_class: type[C], values: Mapping[str, Any], where: str) -> C:
    try:
        return config_class(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where or config_class.__name__}: {error}") from error


def _hints(config_class: type) -> dict[str, Any]:
    if not dataclasses.is_dataclass(config_class):
        raise ConfigError(f"{config_class.__name__} is not a dataclass, so it cannot be a configuration")
    hints = typing.get_type_hints(config_class)
    return {f.name: hints[f.name] for f in dataclasses.fields(config_class) if f.init}


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else str(key)


def _unknown(key: str, known: list[str], where: str) -> str:
    return f"{_join(where, key)} is not a setting; {did_you_mean(key, known)}"


def _plain(value: Any, name: str) -> Any:
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"{name} is {value}, which JSON cannot hold; use a finite number or none")
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(v, f"{name}.{key}") for key, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v, name) for v in value]
    raise ConfigError(f"{name} holds a {type(value).__name__}, which has no JSON form")


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(str(a) for a in typing.get_args(hint))
    return getattr(hint, "__name__", str(hint)) if not typing.get_args(hint) else str(hint)


def _checked(value: Any, hint: Any, name: str) -> Any:
    """``value`` as the type ``hint`` says, or a ConfigError naming ``name``."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    wrong = ConfigError(f"{name} must be {_describe(hint)}, got {value!r}")
    if hint is Any:
        return value
    if origin is typing.Union or origin is types.UnionType:
        for option in args:
            try:
                return _checked(value, option, name)
            except ConfigError:
                continue
        raise wrong
    if hint is None or hint is type(None):
        if value is None:
            return None
        raise wrong
    if origin is typing.Literal:
        if any(value == a and type(value) is type(a) for a in args):
            return value
        raise wrong
    if origin in (tuple, list):
        if not isinstance(value, tuple | list):
            raise wrong
        if origin is tuple and args and args[-1] is not Ellipsis:
            if len(args) != len(value):
                raise ConfigError(f"{name} must have {len(args)} values, got {len(value)}")
            return tuple(
                _checked(v, a, f"{name}[{i}]") for i, (v, a) in enumerate(zip(value, args, strict=True))
            )
        element = args[0] if args else Any
        return origin(_checked(v, element, f"{name}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise wrong
        return {str(k): _checked(v, args[1] if args else Any, f"{name}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        kind = typing.cast(type, hint)
        return value if isinstance(value, kind) else from_dict(kind, value, where=name)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError:
            raise ConfigError(
                f"{name} must be one of {', '.join(str(m.value) for m in hint)}, got {value!r}"
            ) from None
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint in (bool, str) and isinstance(value, hint):
        return value
    raise wrong


def _read(text: str, hint: Any, name: str) -> Any:
    """The plain value that a command-line ``text`` stands for, given the field's type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    wrong = ConfigError(f"{name} must be {_describe(hint)}, got {text!r}")
    if origin is typing.Union or origin is types.UnionType:
        if type(None) in args and text.lower() in _NONE:
            return None
        for option in (a for a in args if a is not type(None)):
            try:
                return _checked(_read(text, option, name), option, name)
            except ConfigError:
                continue
        raise wrong
    if origin is typing.Literal:
        return next((a for a in args if str(a).lower() == text.lower()), text)
    if origin in (tuple, list, dict) or dataclasses.is_dataclass(hint):
        if text[:1] in "[{" and text:
            try:
                return json.loads(text)
            except json.JSONDecodeError as error:
                raise ConfigError(f"{name}: {text!r} is not valid JSON ({error})") from None
        if origin not in (tuple, list):
            raise ConfigError(f"{name} takes a JSON object, got {text!r}")
        parts = [part.strip() for part in text.split(",") if part.strip()]
        fixed = origin is tuple and args and args[-1] is not Ellipsis
        kinds = args if fixed and len(args) == len(parts) else [args[0] if args else str] * len(parts)
        return [_read(part, kind, name) for part, kind in zip(parts, kinds, strict=True)]
    if hint is bool:
        if text.lower() not in _TRUE | _FALSE:
            raise ConfigError(f"{name} must be true or false, got {text!r}")
        return text.lower() in _TRUE
    if hint in (int, float):
        try:
            number = float(text.replace("_", ""))
            if hint is float:
                return number
            return int(number) if number.is_integer() and "e" in text.lower() else int(text.replace("_", ""))
        except (ValueError, OverflowError):
            raise wrong from None
    return text

"""A PostgreSQL server for one test session, where the programs are installed."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("initdb", "pg_ctl", "postgres")


def missing() -> str | None:
    """Why no server can be started here; None where one can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"PostgreSQL is not installed (no {', '.join(absent)})"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL refuses to run as root, and there is no other user to run it as"
    return None


def _user() -> str | None:
    """Who runs the server: nobody else than we, unless we are root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(
        command, user=_user(), cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """The address of a fresh server, reachable through a socket in its own folder only."""
    # Not pytest's folder: the server's user could not enter it, and the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="bb-pg-"))
    if user := _user():
        shutil.chown(folder, user)
    data, started = folder / "data", False
    # fsync is off because only processes die here, never the machine.
    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
    try:
        _run(
            folder,
            "initdb",
            "--no-sync",
            "-A",
            "trust",
            "-U",
            "bowerbird",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
            str(data),
        )
        _run(folder, "pg_ctl", "-w", "-D", str(data), "-l", str(folder / "log"), "-o", settings, "start")
        started = True
        yield f"postgresql://bowerbird@/postgres?host={folder}"
    finally:
        if started:
            _run(folder, "pg_ctl", "-w", "-m", "immediate", "-D", str(data), "stop")
        shutil.rmtree(folder, ignore_errors=True)

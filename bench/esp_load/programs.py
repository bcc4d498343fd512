# SPDX-License-Identifier: Apache-2.0
"""The other programs: built once into the user's cache, or found on this machine."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from esp_load.tunnels import UnavailableError

CACHE: Final = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve() / "ikeway-bench"
)
GO_MODULE: Final = "golang.zx2c4.com/wireguard@latest"


def wireguard_go() -> str:
    """Return the program, built from the newest source of the Go module proxy.

    Raises:
        UnavailableError: no Go, or it does not build.
    """
    environment = os.environ | {"GOBIN": str(CACHE / "bin")}
    return _built("wireguard", ["go", "install", GO_MODULE], environment)


def gotatun() -> str:
    """Return the program of the newest crate.

    Raises:
        UnavailableError: no Cargo, or it does not build.
    """
    return _crate("gotatun-cli", "gotatun")


def boringtun() -> str:
    """Return the program of the newest crate.

    Raises:
        UnavailableError: no Cargo, or it does not build.
    """
    return _crate("boringtun-cli", "boringtun-cli")


def _crate(name: str, program: str) -> str:
    command = ["cargo", "install", "--quiet", "--locked", "--root", str(CACHE), name]
    return _built(program, command, dict(os.environ))


def installed(program: str, package: str) -> str:
    """Return a program of the system.

    Raises:
        UnavailableError: it is not there.
    """
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise UnavailableError(f"no {program}: install the package {package}")
    return found


def first_line(*command: str) -> str:
    """Return the first line of what a program says about itself."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return next(iter((done.stdout or done.stderr).splitlines()), "").strip()


def go_version(program: str) -> str:
    """Return the version of the module that a Go program was built from."""
    command = ["go", "version", "-m", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    fields = [line.split() for line in done.stdout.splitlines()]
    return next((row[2] for row in fields if row[:1] == ["mod"]), "unknown")


def _built(name: str, command: list[str], environment: dict[str, str]) -> str:
    program = CACHE / "bin" / name
    if program.exists():
        return str(program)
    if shutil.which(command[0]) is None:
        raise UnavailableError(f"no {command[0]} to build {name}")
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode != 0 or not program.exists():
        reason = next(iter(done.stderr.strip().splitlines()[-1:]), "no reason given")
        raise UnavailableError(f"{' '.join(command)}: {reason}")
    return str(program)

# SPDX-License-Identifier: Apache-2.0
"""A PKCS#11 token in software: SoftHSM, with keys of the test's making."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from ikeway.crypto.keypair import PrivateKey

PIN: Final = "2468"
LABEL: Final = "ikeway test"
PLACES: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)


class SoftHsm:
    """A token in a folder; the library reads the environment of this process."""

    def __init__(self, folder: Path) -> None:
        module = next((place for place in PLACES if Path(place).exists()), None)
        if module is None or shutil.which("softhsm2-util") is None:
            pytest.skip("needs SoftHSM (Debian: apt install softhsm2)")
        self.module = module
        self._folder = folder
        (folder / "tokens").mkdir()
        self.conf = folder / "softhsm2.conf"
        self.conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
        self._util("--init-token", "--free", "--label", LABEL, "--so-pin", PIN, "--pin", PIN)

    def add(self, label: str, number: int, key: PrivateKey) -> str:
        """Put a key into the token; return its URI."""
        file = self._folder / "key.pem"
        file.write_bytes(key.pem())
        about = ["--label", label, "--id", f"{number:02x}", "--token", LABEL, "--pin", PIN]
        self._util("--import", str(file), *about)
        file.unlink()
        name = LABEL.replace(" ", "%20")
        return f"pkcs11:token={name};object={label}?module-path={self.module}"

    def _util(self, *words: str) -> None:
        environment = os.environ | {"SOFTHSM2_CONF": str(self.conf)}
        subprocess.run(
            ["softhsm2-util", *words], check=True, capture_output=True, env=environment, timeout=30
        )

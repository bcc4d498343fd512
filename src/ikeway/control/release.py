# SPDX-License-Identifier: Apache-2.0
"""Which release of ikeway this is."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Return the version of the installed package."""
    try:
        return version("ikeway")
    except PackageNotFoundError:
        return "unreleased"

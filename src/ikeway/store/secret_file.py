# SPDX-License-Identifier: Apache-2.0
"""A secret in a file of mode 0600, made where there is none."""

import os
from pathlib import Path

from ikeway.model.errors import HostError
from ikeway.model.secret import Secret


def load(file: Path, what: str, octets: int) -> Secret:
    """Return the secret in a file, which is made if it is not there.

    Raises:
        HostError: the file cannot be used, or others can read it. Says `what` it is.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _make(file, what, octets)
    except OSError as error:
        raise HostError(f"{what} {file}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        mode = os.fstat(stream.fileno()).st_mode & 0o777
        found = stream.read(octets + 1)
    if mode & 0o077:
        raise HostError(f"{what} {file}: mode {mode:04o} lets others read it; make it 0600")
    if len(found) != octets:
        raise HostError(f"{what} {file}: it has to have {octets} octets; remove it")
    return Secret(found)


def _make(file: Path, what: str, octets: int) -> Secret:
    """Write a fresh secret beside the file first: a crash leaves a whole file, or none.

    Several processes may do so at once; the first one's is everybody's.
    """
    secret = Secret(os.urandom(octets))
    draft = file.with_name(f"{file.name}.{os.urandom(8).hex()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secret.octets)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, file)
        finally:
            draft.unlink()
    except FileExistsError:
        return load(file, what, octets)
    except OSError as error:
        raise HostError(f"{what} {file}: {error.strerror}") from error
    return secret

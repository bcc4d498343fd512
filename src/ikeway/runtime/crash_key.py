# SPDX-License-Identifier: Apache-2.0
"""The secret of our crash tokens: a file that is still there after a restart (RFC 6290 §5.1)."""

import os
from pathlib import Path

from ikeway.crypto.tokens import SECRET_OCTETS
from ikeway.model.errors import HostError
from ikeway.model.secret import Secret


def load(file: Path) -> Secret:
    """Return the secret in a file, which is made if it is not there.

    Raises:
        HostError: the file cannot be used, or others can read it: who knows the secret can end all
            of our IKE SAs.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _make(file)
    except OSError as error:
        raise HostError(f"crash key {file}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        mode = os.fstat(stream.fileno()).st_mode & 0o777
        octets = stream.read(SECRET_OCTETS + 1)
    if mode & 0o077:
        raise HostError(f"crash key {file}: mode {mode:04o} lets others read it; make it 0600")
    if len(octets) != SECRET_OCTETS:
        raise HostError(f"crash key {file}: it has to have {SECRET_OCTETS} octets; remove it")
    return Secret(octets)


def _make(file: Path) -> Secret:
    """Write a fresh secret beside the file first: a crash leaves a whole file, or none.

    Several workers may do so at once; the first one's is everybody's.
    """
    secret = Secret(os.urandom(SECRET_OCTETS))
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secret.octets)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, file)
        finally:
            draft.unlink()
    except FileExistsError:
        return load(file)
    except OSError as error:
        raise HostError(f"crash key {file}: {error.strerror}") from error
    return secret

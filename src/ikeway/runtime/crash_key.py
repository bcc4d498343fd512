# SPDX-License-Identifier: Apache-2.0
"""The secret of our crash tokens: a file that is still there after a restart (RFC 6290 §5.1)."""

from pathlib import Path

from ikeway.crypto.tokens import SECRET_OCTETS
from ikeway.model.secret import Secret
from ikeway.store import secret_file


def load(file: Path) -> Secret:
    """Return the secret in a file, which is made if it is not there.

    Raises:
        HostError: the file cannot be used, or others can read it: who knows the secret can end all
            of our IKE SAs.
    """
    return secret_file.load(file, "crash key", SECRET_OCTETS)

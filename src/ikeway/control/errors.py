# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with asking a daemon."""

from ikeway.model.errors import UsageError


class NoDaemonError(UsageError):
    """No daemon runs there."""

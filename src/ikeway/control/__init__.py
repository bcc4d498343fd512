# SPDX-License-Identifier: Apache-2.0
"""How commands and consoles talk with the daemon of a run directory."""

# SPDX-License-Identifier: Apache-2.0
"""The shell around the core: performs actions, reads the clock, draws randomness. asyncio lives here."""

# SPDX-License-Identifier: Apache-2.0
"""The shell around the core, on asyncio: performs actions, reads clocks, draws randomness."""

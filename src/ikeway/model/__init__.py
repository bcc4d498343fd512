# SPDX-License-Identifier: Apache-2.0
"""Plain frozen values that every layer shares."""

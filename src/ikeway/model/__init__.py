# SPDX-License-Identifier: Apache-2.0
"""Plain frozen values that every layer shares: time, addresses, identities, selectors, ESP, secrets, errors."""

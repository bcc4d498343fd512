# SPDX-License-Identifier: Apache-2.0
"""Proofs of identity, all sans-IO: shared keys, signatures, certificates."""

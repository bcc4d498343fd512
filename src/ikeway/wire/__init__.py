# SPDX-License-Identifier: Apache-2.0
"""Octets to values and back: header, payloads and registries (RFC 7296 §3, RFC 7383 §2.5)."""

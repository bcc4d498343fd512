# SPDX-License-Identifier: Apache-2.0
"""The IKE SA, sans-IO: inputs and the time go in, actions come out (RFC 7296)."""

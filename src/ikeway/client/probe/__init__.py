# SPDX-License-Identifier: Apache-2.0
"""Which suites and authentication a peer offers: asked from outside, without an account."""

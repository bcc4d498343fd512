# SPDX-License-Identifier: Apache-2.0
"""A load of IKE handshakes for `bench/ike.py`, and the responders that take it."""

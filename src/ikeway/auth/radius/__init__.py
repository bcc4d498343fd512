# SPDX-License-Identifier: Apache-2.0
"""RADIUS, the side that asks, sans-IO: access with EAP, accounting, and orders from the server."""

# SPDX-License-Identifier: Apache-2.0
"""The device side: what a tunnel changes on this host, planned, applied and undone."""

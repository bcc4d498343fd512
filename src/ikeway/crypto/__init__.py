# SPDX-License-Identifier: Apache-2.0
"""Algorithms as rows of tables, keys and certificates. The one user of pyca `cryptography`."""

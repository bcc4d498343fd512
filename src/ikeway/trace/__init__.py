# SPDX-License-Identifier: Apache-2.0
"""Captures made readable: IKE and ESP decoded and, with the keys of a key log, decrypted."""

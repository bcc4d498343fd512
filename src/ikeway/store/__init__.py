# SPDX-License-Identifier: Apache-2.0
"""What outlives the daemon: the users. One database, SQLite."""

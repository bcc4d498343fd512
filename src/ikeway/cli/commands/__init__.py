# SPDX-License-Identifier: Apache-2.0
"""One file per command or family; `ikeway.cli.main` lists them."""

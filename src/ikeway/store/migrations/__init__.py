# SPDX-License-Identifier: Apache-2.0
"""How databases of older releases become those of this one, one step a file."""

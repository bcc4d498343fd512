# SPDX-License-Identifier: Apache-2.0
"""The configuration file: TOML, checked by a schema, turned into the frozen values of `policy`."""

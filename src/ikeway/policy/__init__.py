# SPDX-License-Identifier: Apache-2.0
"""What the operator allows, as frozen values."""

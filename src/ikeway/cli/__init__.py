# SPDX-License-Identifier: Apache-2.0
"""The commands: views over the control protocol."""

# SPDX-License-Identifier: Apache-2.0
"""`ikeway demo`: two hosts on one machine, a real tunnel, and a proof from the wire."""

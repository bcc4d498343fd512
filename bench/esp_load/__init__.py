# SPDX-License-Identifier: Apache-2.0
"""What `bench/esp.py` is made of: tunnels of several makers, and what is measured through them."""

# SPDX-License-Identifier: Apache-2.0
"""ikeway: an IKEv2/IPsec gateway, client and library.

Python speaks the protocol, a Rust engine moves the packets.
"""

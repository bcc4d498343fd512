# SPDX-License-Identifier: Apache-2.0
"""EAP as server and as peer (RFC 3748): packets in, packets out, one file per method."""

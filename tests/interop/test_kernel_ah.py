# SPDX-License-Identifier: Apache-2.0
"""Every algorithm of AH between our engine and the Linux kernel, whose keys the test chose.

One guest, all pairs at once: each carries the datagrams of one port (RFC 4302).
"""

import asyncio
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

import pytest

from ikeway.model.address import IKE_PORT, Endpoint
from ikeway.model.esp import ChildSa, Encapsulation, Mode
from ikeway.model.selectors import TrafficSelector
from support.guest import Guest
from support.kernel import ECHO, ECHO_PORT, KERNEL_AH_SUITES, MODULES, pair_lines
from support.link import FIRST, SECOND
from support.suites import Suite
from support.tunnel import INNER, Host, child_pair

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

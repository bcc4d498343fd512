# SPDX-License-Identifier: Apache-2.0
"""Code points of RADIUS that a VPN gateway has to do with (IANA "RADIUS Types")."""

from enum import IntEnum
from typing import Final

from ikeway.model.open_enum import OpenEnum

MICROSOFT: Final = 311
"""Microsoft's enterprise number, under which RFC 2548 has its attributes."""


class Code(OpenEnum):
    """What a packet is for (RFC 2865 §3, RFC 2866 §3, RFC 5176 §2)."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_REQUEST = 4
    ACCOUNTING_RESPONSE = 5
    ACCESS_CHALLENGE = 11
    STATUS_SERVER = 12
    DISCONNECT_REQUEST = 40
    DISCONNECT_ACK = 41
    DISCONNECT_NAK = 42
    COA_REQUEST = 43
    COA_ACK = 44
    COA_NAK = 45


class AttributeType(OpenEnum):
    """Attributes (RFC 2865 §5, RFC 2866 §5, RFC 2869, RFC 3162, RFC 3579, RFC 5176)."""

    USER_NAME = 1
    NAS_IP_ADDRESS = 4
    NAS_PORT = 5
    SERVICE_TYPE = 6
    FRAMED_PROTOCOL = 7
    FRAMED_IP_ADDRESS = 8
    FILTER_ID = 11
    FRAMED_MTU = 12
    REPLY_MESSAGE = 18
    STATE = 24
    CLASS = 25
    VENDOR_SPECIFIC = 26
    SESSION_TIMEOUT = 27
    IDLE_TIMEOUT = 28
    CALLED_STATION_ID = 30
    CALLING_STATION_ID = 31
    NAS_IDENTIFIER = 32
    PROXY_STATE = 33
    ACCT_STATUS_TYPE = 40
    ACCT_DELAY_TIME = 41
    ACCT_INPUT_OCTETS = 42
    ACCT_OUTPUT_OCTETS = 43
    ACCT_SESSION_ID = 44
    ACCT_AUTHENTIC = 45
    ACCT_SESSION_TIME = 46
    ACCT_INPUT_PACKETS = 47
    ACCT_OUTPUT_PACKETS = 48
    ACCT_TERMINATE_CAUSE = 49
    ACCT_INPUT_GIGAWORDS = 52
    ACCT_OUTPUT_GIGAWORDS = 53
    EVENT_TIMESTAMP = 55
    NAS_PORT_TYPE = 61
    EAP_MESSAGE = 79
    MESSAGE_AUTHENTICATOR = 80
    ACCT_INTERIM_INTERVAL = 85
    NAS_PORT_ID = 87
    NAS_IPV6_ADDRESS = 95
    FRAMED_IPV6_PREFIX = 97
    ERROR_CAUSE = 101
    FRAMED_IPV6_ADDRESS = 168


class MicrosoftType(OpenEnum):
    """Attributes of Microsoft (RFC 2548 §2.4)."""

    MPPE_SEND_KEY = 16
    MPPE_RECV_KEY = 17


class ServiceType(IntEnum):
    """RFC 2865 §5.6, RFC 5176 §3.2."""

    FRAMED = 2
    AUTHORIZE_ONLY = 17


NAS_PORT_VIRTUAL: Final = 5
"""NAS-Port-Type of what has no port: RFC 2865 §5.41."""


class AcctStatus(IntEnum):
    """Acct-Status-Type (RFC 2866 §5.1)."""

    START = 1
    STOP = 2
    INTERIM_UPDATE = 3
    ACCOUNTING_ON = 7
    ACCOUNTING_OFF = 8


ACCT_AUTHENTIC_RADIUS: Final = 1
"""The user was authenticated by RADIUS (RFC 2866 §5.6)."""


class TerminateCause(IntEnum):
    """Why a session ended (RFC 2866 §5.10)."""

    USER_REQUEST = 1
    LOST_SERVICE = 3
    IDLE_TIMEOUT = 4
    SESSION_TIMEOUT = 5
    ADMIN_RESET = 6
    NAS_ERROR = 9
    NAS_REQUEST = 10


class ErrorCause(IntEnum):
    """Why an order is refused (RFC 5176 §3.5)."""

    UNSUPPORTED_ATTRIBUTE = 401
    MISSING_ATTRIBUTE = 402
    NAS_IDENTIFICATION_MISMATCH = 403
    INVALID_REQUEST = 404
    UNSUPPORTED_SERVICE = 405
    SESSION_NOT_FOUND = 503
    RESOURCES_UNAVAILABLE = 506

# SPDX-License-Identifier: Apache-2.0
"""EAP-AKA: a USIM and its home network prove themselves to each other (RFC 4187)."""

from functools import partial
from typing import Final

from ikeway.auth.eap.aka_method import AkaPeer, AkaServer, Variant
from ikeway.auth.eap.method import Method
from ikeway.auth.eap.packet import EapType

VARIANT: Final = Variant(EapType.AKA, is_prime=False)

METHOD: Final = Method(
    EapType.AKA,
    "aka",
    makes_key=True,
    may_stand_alone=True,
    serve=partial(AkaServer, variant=VARIANT),
    join=partial(AkaPeer, variant=VARIANT),
)

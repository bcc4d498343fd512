# SPDX-License-Identifier: Apache-2.0
"""EAP-AKA': EAP-AKA with keys that are bound to a network (RFC 9048)."""

from functools import partial
from typing import Final

from ikeway.auth.eap.aka_method import AkaPeer, AkaServer, Variant
from ikeway.auth.eap.method import Method
from ikeway.auth.eap.packet import EapType

VARIANT: Final = Variant(EapType.AKA_PRIME, is_prime=True)

METHOD: Final = Method(
    EapType.AKA_PRIME,
    "aka-prime",
    makes_key=True,
    may_stand_alone=True,
    serve=partial(AkaServer, variant=VARIANT),
    join=partial(AkaPeer, variant=VARIANT),
)

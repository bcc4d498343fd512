# SPDX-License-Identifier: Apache-2.0
"""A payload whose type this release has no class for (RFC 7296 §2.5)."""

from typing import Annotated

from typing_extensions import override

from ikeway.wire.codec import Body, Rest, layout
from ikeway.wire.registry import PayloadType


@layout
class Unknown(Body):
    """A payload that is skipped by its length, or refused if it is critical: the core decides."""

    type: PayloadType
    data: Annotated[bytes, Rest()]

    @property
    @override
    def kind(self) -> PayloadType:
        return self.type

    @override
    def encode(self) -> bytes:
        return self.data

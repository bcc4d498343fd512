# SPDX-License-Identifier: Apache-2.0
"""What tables of the configuration file are made of: types of their keys, and their base."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, StringConstraints

from ikeway.config import values
from ikeway.config.parsed import Parsed, choice
from ikeway.config.proofs import WORDS, proofs
from ikeway.config.proposals import ah_proposal, esp_proposal, ike_proposal
from ikeway.model.address import Address as AddressValue
from ikeway.model.address import Network
from ikeway.model.esp import Mode
from ikeway.model.identity import Identity
from ikeway.model.time import Seconds
from ikeway.policy.connection import (
    Gateway,
    PeerAddress,
    Proof,
    SelectorTemplate,
    Start,
    Twofold,
)
from ikeway.policy.credentials import IdPattern, parse_identity
from ikeway.policy.proposals import ProposalSpec

Address: TypeAlias = Annotated[AddressValue, Parsed(values.address, "an address")]
Prefix: TypeAlias = Annotated[Network, Parsed(values.network, "a prefix")]
Peer: TypeAlias = Annotated[PeerAddress, Parsed(values.peer, "an address, a prefix, a host name")]
Id: TypeAlias = Annotated[Identity, Parsed(parse_identity, "an identity")]
Pattern: TypeAlias = Annotated[IdPattern, Parsed(values.id_pattern, "an identity, or one with *")]
Selector: TypeAlias = Annotated[SelectorTemplate, Parsed(values.selector, "a traffic selector")]
CertificateUrl: TypeAlias = Annotated[str, Parsed(values.certificate_url, "a URL of HTTP")]
GatewayName: TypeAlias = Annotated[Gateway, Parsed(values.gateway, "an address or a host name")]
Domain: TypeAlias = Annotated[str, Parsed(values.domain, "a domain name")]
Duration: TypeAlias = Annotated[Seconds, Parsed(values.duration(), "a time")]
OptionalDuration: TypeAlias = Annotated[
    Seconds, Parsed(values.duration_or_none(), "a time, or none")
]
Wait: TypeAlias = Annotated[Seconds, Parsed(values.duration(0.01, 3600), "a time")]
Keepalive: TypeAlias = Annotated[Seconds, Parsed(values.duration(1, 3600), "a time")]
Octets: TypeAlias = Annotated[int, Parsed(values.octets, "an amount of data")]
IkeProposal: TypeAlias = Annotated[ProposalSpec, Parsed(ike_proposal, "a proposal")]
EspProposal: TypeAlias = Annotated[ProposalSpec, Parsed(esp_proposal, "a proposal")]
AhProposal: TypeAlias = Annotated[ProposalSpec, Parsed(ah_proposal, "a proposal")]
Proofs: TypeAlias = Annotated[Proof | Twofold, Parsed(proofs, WORDS)]
ModeWord: TypeAlias = Annotated[Mode, choice(Mode)]
StartWord: TypeAlias = Annotated[Start, choice(Start)]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Table(BaseModel):
    """A table of the file: what is not named in it is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
    )

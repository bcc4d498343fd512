# SPDX-License-Identifier: Apache-2.0
"""`ikeway cert`: look at certificates, check them, make keys and requests for them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ikeway.cli.options import JsonOption, complain
from ikeway.cli.papers import (
    KeyOption,
    PasswordOption,
    Role,
    certificates,
    identities,
    new_key,
    now,
    password,
    read,
    show,
)
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.model.errors import UsageError
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from ikeway.crypto.certificate import Certificate

_SHOW: Final = "Example: ikeway cert show server.crt"
_VERIFY: Final = (
    "Example: ikeway cert verify server.crt --authority ca.crt --for server --name vpn.example.com"
)
_KEY: Final = "Example: ikeway cert key site.key --key ed25519"
_PUBLIC: Final = "Example: ikeway cert public site.key > site.pub"
_REQUEST: Final = "Example: ikeway cert request site.example.com --key-file site.key > site.csr"

app = typer.Typer(help="Certificates, keys and requests.", no_args_is_help=True)


@app.command("show", epilog=_SHOW)
def show_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Certificates in PEM or DER.")],
    *,
    json: JsonOption = False,
) -> None:
    """Show what stands in the certificates of a file."""
    from json import dumps

    from ikeway.crypto.describe import describe

    found = [describe(one) for one in certificates(file)]
    if json:
        print(dumps(found, ensure_ascii=False))
        return
    for number, facts in enumerate(found):
        if number:
            print()
        show(facts)


@app.command(epilog=_VERIFY)
def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The certificate; behind it its intermediates.")
    ],
    authority: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Whom to believe; again and again.")
    ],
    role: Annotated[Role | None, typer.Option("--for", help="The role of its owner.")] = None,
    name: Annotated[str | None, typer.Option(help="The identity that it has to prove.")] = None,
    crl: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="CRLs; with them it must be on none.")
    ] = None,
) -> None:
    """Check a certificate as a peer's would be: chain, dates, role, name, and CRLs."""
    from ikeway.crypto.chain import verify_chain
    from ikeway.model.errors import AuthenticationError

    leaf, *others = certificates(file)
    anchors = [one for path in authority for one in certificates(path)]
    try:
        chain = verify_chain(leaf, others, anchors, now(), role)
        if name is not None:
            _check_name(name, leaf)
        if crl:
            _check_crls(tuple(crl), chain)
    except AuthenticationError as error:
        complain(f"{file}: {error.reason}")
        raise typer.Exit(1) from error
    print(f"ok: {' <- '.join(plain(one.subject) for one in chain)}")


def _check_crls(files: tuple[Path, ...], chain: "tuple[Certificate, ...]") -> None:
    import asyncio

    from ikeway.policy.revocation import Revocation, StatusSources
    from ikeway.runtime.revocation import StatusDesk

    async def check() -> None:
        desk = StatusDesk(StatusSources(crls=files, fetch=False))
        await desk.check(chain, Revocation.STRICT, (), now())

    asyncio.run(check())


def _check_name(name: str, leaf: "Certificate") -> None:
    from ikeway.auth.certificates import identity_matches
    from ikeway.model.errors import AuthenticationError
    from ikeway.policy.credentials import parse_identity

    if not identity_matches(parse_identity(name), leaf):
        names = ", ".join(map(str, leaf.sans)) or "none"
        raise AuthenticationError(f"{leaf.subject} is not for {name}; its names are {names}")


@app.command("key", epilog=_KEY)
def key_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    key: KeyOption = KeyAlgorithm.ECDSA_256,
    secret: PasswordOption = None,
) -> None:
    """Make a private key, as PKCS#8 in PEM. A file that is there is not overwritten."""
    from ikeway.runtime.ca import write_file

    if file.exists():
        raise UsageError(f"{file} is there already, and stays")
    write_file(file, new_key(key).pem(password(secret)), is_secret=True)
    print(f"{file}: {key.value}{', encrypted' if secret else ''}")


@app.command(epilog=_PUBLIC)
def public(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The private key.")],
    secret: PasswordOption = None,
) -> None:
    """Print the public key of a private one, for `[[credentials.public_keys]]` of a peer."""
    from ikeway.crypto.keypair import PrivateKey

    print(PrivateKey.load(read(file), password(secret)).public.pem().decode(), end="")


@app.command(epilog=_REQUEST)
def request(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="What it is to prove.")],
    key_file: Annotated[Path, typer.Option(metavar="FILE", help="The private key.")],
    secret: PasswordOption = None,
) -> None:
    """Print a request for a certificate, for `ikeway ca issue --request` or any other authority."""
    from ikeway.crypto.keypair import PrivateKey
    from ikeway.crypto.request import make_request

    key = PrivateKey.load(read(key_file), password(secret))
    try:
        print(make_request(key, identities(names)).decode(), end="")
    except ValueError as error:
        raise UsageError(str(error)) from error

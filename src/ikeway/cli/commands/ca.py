# SPDX-License-Identifier: Apache-2.0
"""`ikeway ca`: an authority of one's own: make it, issue, renew, revoke, publish CRLs."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ikeway.cli.options import JsonOption
from ikeway.cli.papers import (
    DEFAULT_CA,
    HERE,
    DaysOption,
    FolderOption,
    KeyOption,
    OutOption,
    PasswordOption,
    Role,
    identities,
    new_key,
    now,
    password,
    read,
    show,
    write_pair,
)
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.model.errors import UsageError
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from ikeway.runtime.ca import Ca, Issued

_CREATE: Final = 'Example: ikeway ca create "Example VPN CA" --permit example.com'
_ISSUE: Final = "Example: ikeway ca issue vpn.example.com --for server --out /etc/ikeway"
_RENEW: Final = "Example: ikeway ca renew vpn.example.com --out /etc/ikeway"
_REVOKE: Final = "Example: ikeway ca revoke jo@example.com --reason key-compromise && ikeway ca crl"
_CRL: Final = "Example: ikeway ca crl --days 7"
_LIST: Final = "Example: ikeway ca list --json"
_SHOW: Final = "Example: ikeway ca show"

app = typer.Typer(help="An authority of your own, in a folder.", no_args_is_help=True)


class Reason(Enum):
    """Why a certificate is revoked (RFC 5280 §5.3.1)."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "key-compromise"
    CA_COMPROMISE = "ca-compromise"
    AFFILIATION_CHANGED = "affiliation-changed"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessation-of-operation"
    PRIVILEGE_WITHDRAWN = "privilege-withdrawn"


def _ca(folder: Path) -> "Ca":
    from ikeway.runtime.ca import Ca

    return Ca(folder)


@app.command(epilog=_CREATE)
def create(  # noqa: PLR0913, PLR0917 - options of a command
    name: Annotated[str, typer.Argument(help="What it is called, for people.")],
    folder: FolderOption = DEFAULT_CA,
    key: KeyOption = KeyAlgorithm.ECDSA_384,
    days: DaysOption = 3650,
    below: Annotated[
        Path | None, typer.Option("--below", metavar="DIR", help="The authority above this one.")
    ] = None,
    path_length: Annotated[
        int, typer.Option(min=0, max=6, help="How many authorities may be below one another.")
    ] = 0,
    permit: Annotated[
        list[str] | None,
        typer.Option(metavar="DOMAIN|PREFIX", help="The names that it may vouch for; repeatable."),
    ] = None,
    crl_url: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Where its CRL will be."),
    ] = None,
    ocsp_url: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Where its OCSP responder will be.")
    ] = None,
    secret: PasswordOption = None,
    below_password: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="As --password, of the authority above.")
    ] = None,
) -> None:
    """Make an authority: a root, or one below another. Nothing that is there is overwritten."""
    from ikeway.crypto.authority import create_authority, issue_authority
    from ikeway.crypto.fields import Places, subtrees
    from ikeway.runtime.ca import Ca

    try:
        trees = tuple(tree for text in permit or () for tree in subtrees(text))
    except ValueError as error:
        raise UsageError(str(error)) from error
    places = Places(tuple(crl_url or ()), tuple(ocsp_url or ()))
    if below is None:
        made = create_authority(name, key, now(), days, path_length, trees), ()
        found = Ca.found(folder, made, places, password(secret))
    else:
        parent = _ca(below)
        issuer = parent.authority(password(below_password))
        above = parent.state().places
        made_below = issue_authority(issuer, name, key, now(), days, path_length, trees, above)
        found = Ca.found(folder, (made_below, parent.above), places, password(secret))
        parent.keep(made_below.certificate)
    print(f"{plain(found.certificate.subject)} until {found.certificate.not_after:%Y-%m-%d}")
    print(f'peers believe it with authorities = ["{folder / "ca.crt"}"]')
    if secret is None:
        print(f"{folder / 'ca.key'} is not encrypted: whoever reads it can issue")


@app.command(epilog=_ISSUE)
def issue(  # noqa: PLR0913, PLR0917 - options of a command
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Domain names, mail addresses, addresses."),
    ] = None,
    role: Annotated[Role, typer.Option("--for", help="What it is for.")] = "client",
    folder: FolderOption = DEFAULT_CA,
    key: KeyOption = KeyAlgorithm.ECDSA_256,
    days: DaysOption = 365,
    request: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A certificate request, instead of a new key."),
    ] = None,
    out: OutOption = HERE,
    secret: PasswordOption = None,
    key_password: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="What encrypts the new key's file.")
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Issue a certificate, for a new key or for the one of a request."""
    from ikeway.crypto.request import load_request

    ca, given = _ca(folder), identities(names or ())
    if request is not None:
        public, asked = load_request(read(request))
        private = None
        given = given or asked
    else:
        private = new_key(key)
        public = private.public
    if not given:
        raise UsageError("for whom? name a domain name, a mail address or an address")
    made = ca.issue(password(secret), public, given, role, days)
    written = write_pair(out, (made, *ca.above), private, password(key_password))
    _told(made.serial, made.not_after.isoformat(), written, json=json)


@app.command(epilog=_RENEW)
def renew(  # noqa: PLR0913 - options of a command
    which: Annotated[str, typer.Argument(metavar="NAME|SERIAL", help="The certificate.")],
    folder: FolderOption = DEFAULT_CA,
    days: DaysOption = 365,
    out: OutOption = HERE,
    fresh: Annotated[
        KeyAlgorithm | None,
        typer.Option("--new-key", help="Make a new key instead of keeping the old one."),
    ] = None,
    secret: PasswordOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Issue a certificate anew, with the same names and the same key unless told otherwise."""
    from ikeway.runtime.ca import purpose_of

    ca = _ca(folder)
    old = _latest(ca, which).certificate
    private = new_key(fresh) if fresh else None
    public = private.public if private else old.public_key
    made = ca.issue(password(secret), public, old.sans, purpose_of(old), days)
    written = write_pair(out, (made, *ca.above), private, None)
    _told(made.serial, made.not_after.isoformat(), written, json=json)


def _latest(ca: "Ca", which: str) -> "Issued":
    """Return the certificate to renew: of several with the name the one that ends last."""
    try:
        return ca.find(which)
    except UsageError:
        found = [one for one in ca.issued() if which in map(str, one.certificate.sans)]
        valid = [one for one in found if one.revoked is None]
        if not valid:
            raise
        return max(valid, key=lambda one: one.certificate.not_after)


@app.command(epilog=_REVOKE)
def revoke(
    which: Annotated[str, typer.Argument(metavar="NAME|SERIAL", help="The certificate.")],
    reason: Annotated[Reason, typer.Option(help="Why.")] = Reason.UNSPECIFIED,
    folder: FolderOption = DEFAULT_CA,
) -> None:
    """Take a certificate back. Peers learn of it from the next CRL: `ikeway ca crl`."""
    made = _ca(folder).revoke(which, reason.value)
    print(f"{plain(made.subject)} (serial number {made.serial:x}) is revoked")
    print("write a CRL with `ikeway ca crl`, so that peers learn of it")


@app.command(epilog=_CRL)
def crl(
    folder: FolderOption = DEFAULT_CA,
    days: Annotated[int, typer.Option(min=1, max=366, help="When the next one is due.")] = 7,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it besides DIR.")
    ] = None,
    secret: PasswordOption = None,
) -> None:
    """Write a CRL with all that is revoked, to `ca.crl` of the folder; do so again in time."""
    from ikeway.runtime.ca import write_file

    ca = _ca(folder)
    made = ca.crl(password(secret), days)
    if out is not None:
        write_file(out, made)
    count = len(ca.state().revoked)
    print(f"{out or folder / 'ca.crl'}: {count} revoked; the next one is due in {days} days")


@app.command("list", epilog=_LIST)
def list_(folder: FolderOption = DEFAULT_CA, *, json: JsonOption = False) -> None:
    """List what it has issued, and what became of it."""
    from json import dumps

    rows = [
        {
            "serial": f"{one.certificate.serial:x}",
            "names": list(map(str, one.certificate.sans)) or [one.certificate.subject],
            "not_after": one.certificate.not_after.isoformat(),
            "status": one.status(now()),
        }
        for one in _ca(folder).issued()
    ]
    if json:
        print(dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        names = ", ".join(map(plain, row["names"]))
        print(f"{row['status']:8} {row['not_after'][:10]} {names} ({row['serial']})")


@app.command("show", epilog=_SHOW)
def show_(folder: FolderOption = DEFAULT_CA, *, json: JsonOption = False) -> None:
    """Show the authority itself."""
    from json import dumps

    from ikeway.crypto.describe import describe

    ca = _ca(folder)
    state, everything = ca.state(), ca.issued()
    counts = {
        "issued": len(everything),
        "revoked": len(state.revoked),
        "crl_number": state.crl_number,
        "crl_urls": list(state.places.crls),
        "ocsp_urls": list(state.places.ocsp),
    }
    facts = {**describe(ca.certificate), **counts}
    if json:
        print(dumps(facts, ensure_ascii=False))
    else:
        show(facts)


def _told(serial: int, until: str, written: list[Path], *, json: bool) -> None:
    from json import dumps

    if json:
        files = [str(path) for path in written]
        print(dumps({"serial": f"{serial:x}", "not_after": until, "files": files}))
        return
    print(f"serial number {serial:x}, until {until[:10]}: {', '.join(map(str, written))}")

# SPDX-License-Identifier: Apache-2.0
"""`ikeway user`: who may come in by password, or be told apart by groups."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ikeway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, RunDirOption, complain
from ikeway.cli.users import (
    ClearOption,
    ExpiresOption,
    GenerateOption,
    GroupOption,
    NameArgument,
    StdinOption,
    day,
    facts,
    moment,
    read_password,
    state,
    tell_gateway,
)
from ikeway.control.rundir import DEFAULT
from ikeway.model.errors import UsageError
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from ikeway.model.secret import Secret
    from ikeway.runtime.user_book import User, UserBook

_ADD: Final = "Example: ikeway user add carol --group staff --expires 2027-12-31"
_LIST: Final = "Example: ikeway user list --json | jq '.[].name'"
_SHOW: Final = "Example: ikeway user show carol"
_CHANGE: Final = "Example: ikeway user change carol --group staff --group admins --expires never"
_DISABLE: Final = "Example: ikeway user disable carol"
_ENABLE: Final = "Example: ikeway user enable carol"
_REMOVE: Final = "Example: ikeway user remove carol"
_PASSWORD: Final = "Example: ikeway user password carol --generate --end-sessions"  # noqa: S105
_IMPORT: Final = "Example: ikeway user import -c /etc/ikeway/ikeway.toml"

app = typer.Typer(help="Users: names, passwords, groups.", no_args_is_help=True)


@app.command(epilog=_ADD)
def add(  # noqa: PLR0913 - an option each
    name: NameArgument,
    group: GroupOption = None,
    expires: ExpiresOption = None,
    *,
    password_stdin: StdinOption = False,
    generate: GenerateOption = False,
    keep_clear: ClearOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Add a user. The password is asked for, unless an option says where it comes from."""
    book = _book(config)
    until = moment(expires)
    _check_new(book, name)
    secret = read_password(name, from_stdin=password_stdin, generates=generate)
    user = book.add(name, secret, group or (), until, keep_clear=keep_clear)
    _done(user, "added", secret if generate else None, json=json)


@app.command("list", epilog=_LIST)
def list_(*, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Show all users of the store."""
    users = _book(config).all()
    if json:
        _print([facts(user) for user in users])
        return
    if not users:
        print("no users; add one with `ikeway user add NAME`")
        return
    width = max(len(plain(user.name)) for user in users)
    for user in users:
        until = "" if user.expires_at is None else f"until {day(user.expires_at)}"
        groups = plain(", ".join(user.groups))
        print(f"{plain(user.name):{width}}  {state(user):8}  {until:32}  {groups}".rstrip())


@app.command(epilog=_SHOW)
def show(
    name: NameArgument, *, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False
) -> None:
    """Show a user, without anything of the password."""
    user = _book(config).find(name)
    if json:
        _print(facts(user))
        return
    kept = "hashed, and itself sealed" if user.has_clear else "hashed"
    for word, text in (
        ("name", plain(user.name)),
        ("state", state(user)),
        ("groups", plain(", ".join(user.groups)) or "none"),
        ("expires", day(user.expires_at)),
        ("created", day(user.created_at)),
        ("password", f"of {day(user.password_at)}, {kept}"),
    ):
        print(f"{word:9} {text}")


@app.command(epilog=_CHANGE)
def change(
    name: NameArgument,
    group: GroupOption = None,
    expires: ExpiresOption = None,
    *,
    no_groups: Annotated[bool, typer.Option("--no-groups", help="Be in no group.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    run_dir: RunDirOption = DEFAULT,
) -> None:
    """Change the groups of a user, all of them, or until when it may come in.

    Groups count at the next login.
    """
    if group and no_groups:
        raise UsageError("--group and --no-groups do not go together")
    if not group and not no_groups and expires is None:
        raise UsageError("nothing to change: give --group, --no-groups or --expires")
    until = moment(expires)
    groups = [] if no_groups else group
    user = _book(config).change(name, groups, until, expires=expires is not None)
    _done(user, "changed", gone=tell_gateway(run_dir))


@app.command(epilog=_DISABLE)
def disable(
    name: NameArgument, *, config: ConfigOption = DEFAULT_CONFIG, run_dir: RunDirOption = DEFAULT
) -> None:
    """Let a user in no more, and end its IKE SAs."""
    book = _book(config)
    user = book.disable(name)
    _done(user, "disabled", gone=tell_gateway(run_dir))
    _warn_of_config(book, name, config)


@app.command(epilog=_ENABLE)
def enable(name: NameArgument, *, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let a user in again that was disabled."""
    user = _book(config).enable(name)
    _done(user, "enabled")


@app.command(epilog=_REMOVE)
def remove(
    name: NameArgument, *, config: ConfigOption = DEFAULT_CONFIG, run_dir: RunDirOption = DEFAULT
) -> None:
    """Forget a user, and end its IKE SAs."""
    book = _book(config)
    user = book.remove(name)
    _done(user, "removed", gone=tell_gateway(run_dir))
    _warn_of_config(book, name, config)


@app.command(epilog=_PASSWORD)
def password(  # noqa: PLR0913 - an option each
    name: NameArgument,
    *,
    password_stdin: StdinOption = False,
    generate: GenerateOption = False,
    keep_clear: ClearOption = False,
    end_sessions: Annotated[
        bool, typer.Option("--end-sessions", help="End the IKE SAs that the user has.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    run_dir: RunDirOption = DEFAULT,
    json: JsonOption = False,
) -> None:
    """Give a user another password. The old one lets nobody in from then on."""
    book = _book(config)
    book.find(name)
    secret = read_password(name, from_stdin=password_stdin, generates=generate)
    user = book.set_password(name, secret, keep_clear=keep_clear, end_sessions=end_sessions)
    gone = tell_gateway(run_dir) if end_sessions else None
    _done(user, "has another password", secret if generate else None, json=json, gone=gone)
    _warn_of_config(book, name, config)


@app.command("import", epilog=_IMPORT)
def import_(*, keep_clear: ClearOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Copy the users that stand in the configuration into the store.

    They can be removed from the configuration then, and their files of passwords, too.
    """
    from ikeway.runtime.user_book import to_import

    book = _book(config)
    users, own = to_import(config)
    known = {user.name.casefold() for user in book.all()}
    taken = 0
    for name, secret in users:
        if name.casefold() in known:
            print(f"{plain(name)}: in the store already, and stays as it is there")
            continue
        book.take_over(name, secret, keep_clear=keep_clear)
        taken += 1
        print(f"{plain(name)}: copied")
    for name in own:
        print(f"{plain(name)}: stays, it is who we are ourselves")
    if taken:
        print(f"now remove their [[credentials.secrets]] from {config}: until then those count")


def _book(config: Path) -> "UserBook":
    from ikeway.runtime.user_book import UserBook

    return UserBook(config)


def _check_new(book: "UserBook", name: str) -> None:
    """Refuse a name that is taken before anybody types a password for it."""
    same = [user for user in book.all() if user.name.casefold() == name.casefold()]
    if same:
        raise UsageError(f"there is a user {same[0].name!r} already")


def _done(
    user: "User",
    what: str,
    secret: "Secret | None" = None,
    *,
    json: bool = False,
    gone: list[str] | None = None,
) -> None:
    """Say what was done, and a password that nobody knows yet."""
    if json:
        made = {} if secret is None else {"password": secret.octets.decode()}
        _print({"name": user.name, **made})
        return
    print(f"{plain(user.name)}: {what}")
    if secret is not None:
        print(f"password: {secret.octets.decode()}")
        complain("this password is shown once; it cannot be shown again")
    for spi in gone or ():
        print(f"disconnecting {spi}")


def _warn_of_config(book: "UserBook", name: str, config: Path) -> None:
    if book.stands_in_config(name):
        complain(
            f"warning: {name!r} stands in {config} as well, which wins over the store: remove it"
            " there and restart the gateway"
        )


def _print(value: object) -> None:
    from json import dumps

    print(dumps(value, ensure_ascii=False))

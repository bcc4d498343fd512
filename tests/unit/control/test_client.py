# SPDX-License-Identifier: Apache-2.0
"""The client for commands, against a real server behind a real socket."""

import socket
import threading
from pathlib import Path

import pytest

from ikeway.control.client import ControlClient, NoDaemonError
from ikeway.control.schema import EventLine
from ikeway.model.errors import HostError, UsageError
from support.control import OFFICE, running_daemon


def test_status_disconnect_initiate_and_ping_are_answered(tmp_path: Path) -> None:
    with running_daemon(tmp_path):
        client = ControlClient(tmp_path)
        assert client.status().ike_sas == [OFFICE]
        assert client.disconnect("office") == [OFFICE.id]
        assert client.status().ike_sas == []
        assert client.initiate("office") == OFFICE.id
        assert client.ping().pid == client.run_dir.running()


def test_without_a_daemon_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError, match=rf"no ikeway runs at {tmp_path}; start it with"):
        ControlClient(tmp_path).status()


def test_a_socket_that_a_crash_left_behind_is_no_daemon(tmp_path: Path) -> None:
    client = ControlClient(tmp_path)
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(client.run_dir.socket))
    with pytest.raises(NoDaemonError):
        client.status()


def test_a_refusal_keeps_the_words_of_the_daemon(tmp_path: Path) -> None:
    with running_daemon(tmp_path):
        client = ControlClient(tmp_path)
        with pytest.raises(UsageError, match="there is no IKE SA 'home'"):
            client.disconnect("home")
        with pytest.raises(UsageError, match="Network is unreachable"):
            client.initiate("unreachable")


def test_a_daemon_that_does_not_answer_is_an_error_of_the_host(tmp_path: Path) -> None:
    client = ControlClient(tmp_path, patience=0.05)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(client.run_dir.socket))
        deaf.listen()
        with pytest.raises(HostError, match="has not answered"):
            client.status()


@pytest.mark.parametrize(
    ("answer", "words"),
    [(b"", "hung up"), (b'{"ok": true}', "hung up"), (b"hello\n", "other words")],
)
def test_an_answer_that_is_none_is_an_error_of_the_host(
    tmp_path: Path, answer: bytes, words: str
) -> None:
    client = ControlClient(tmp_path)

    def reply() -> None:
        caller, _ = odd.accept()
        caller.recv(1000)
        caller.sendall(answer)
        caller.close()

    with socket.socket(socket.AF_UNIX) as odd:
        odd.bind(str(client.run_dir.socket))
        odd.listen()
        thread = threading.Thread(target=reply)
        thread.start()
        with pytest.raises(HostError, match=words):
            client.ping()
        thread.join()


def test_events_come_as_they_happen_and_end_with_the_daemon(tmp_path: Path) -> None:
    with running_daemon(tmp_path):
        client = ControlClient(tmp_path)
        with client.watch() as watching:
            with pytest.raises(TimeoutError):
                watching.next(0.02)
            client.initiate("office")
            event = watching.next(5)
            assert isinstance(event, EventLine)
            assert event.facts == {"connection": "office"}
            client.shutdown()
            assert watching.next(5) is None

"""The command line of a service, where it meets a person."""

import argparse
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from sharezync_shared.cli import CliCommand, ServiceCommand
from sharezync_shared.db.migrations import Migrations
from sharezync_shared.settings import Settings
from sharezync_shared.start_refused import StartRefused


def command_line(error: Exception) -> ServiceCommand[Settings]:
    async def fail(_: Settings, __: argparse.Namespace) -> int:
        raise error

    def no_app(*_: Any) -> Any:
        raise AssertionError("nothing is served")

    return ServiceCommand(
        "auth",
        lambda: Settings(_env_file=None),
        no_app,
        Migrations("sharezync_auth.migrations", "auth"),
        {"do-it": CliCommand(help="do it", run=fail)},
    )


def test_a_database_that_is_away_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StartRefused) as stopped:
        command_line(ConnectionRefusedError(111, "Connection refused")).main(["do-it"])
    told = capsys.readouterr()
    assert stopped.value.code == 2
    assert "The database can't be reached" in told.err
    assert "Traceback" not in told.err


def test_a_lock_that_was_not_to_be_had_is_no_database_that_is_away(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = asyncpg.LockNotAvailableError("canceling statement due to lock timeout")
    wrapped: Any = DBAPIError(
        "ALTER TABLE a\nADD COLUMN b int",
        {},
        Exception("as SQLAlchemy has it"),
    )
    wrapped.orig.__cause__ = refused
    with pytest.raises(StartRefused):
        command_line(wrapped).main(["do-it"])
    (told,) = capsys.readouterr().err.splitlines()
    assert "canceling statement due to lock timeout. Run this again." in told


def test_a_fault_of_ours_is_not_passed_off_as_an_outage() -> None:
    with pytest.raises(ZeroDivisionError):
        command_line(ZeroDivisionError()).main(["do-it"])

"""The `sharezync` command: its parts, and its exit status.

Exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 not logged in; 4 the server can't be
reached; 130 interrupted (the same command goes on where it was).
"""

import ctypes
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import click

from sharezync.cli.account import (
    block,
    blocks,
    devices,
    login,
    logout,
    policy,
    register,
    unblock,
    who_may_add,
    whoami,
)
from sharezync.cli.channels import (
    add,
    ban,
    bans,
    channels,
    create_channel,
    hide,
    join,
    leave,
    unban,
)
from sharezync.cli.chat import chat
from sharezync.cli.completing import completion
from sharezync.cli.files import delete, download, files, share, unshare, upload
from sharezync.cli.output import CommandOutcome, Output, outcome_of, print_what_can_be_printed
from sharezync.cli.receive import receive
from sharezync.cli.transfers import send, statistics, transfers

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h of glibc
_MIB: Final = 1024 * 1024


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sharezync", prog_name="sharezync")
def cli() -> None:
    """Chat, and files from device to device.

    Begin with `sharezync login`. A `send`, `receive`, `upload` or `download` that was interrupted
    goes on when the same command is run again.

    Exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 not logged in; 4 the server can't be
    reached; 130 interrupted.
    """


for _command in (
    login, register, logout, whoami, devices, send, receive, transfers, statistics, policy,
    who_may_add, block, unblock, blocks, chat, channels, create_channel, join, leave, add, hide,
    ban, unban, bans, upload, download, files, delete, share, unshare, completion,
):  # fmt: skip
    cli.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status. Never raises."""
    keep_memory()
    print_what_can_be_printed()
    try:
        return int(cli.main(list(arguments), prog_name="sharezync", standalone_mode=False) or 0)
    except click.ClickException as error:
        if "--json" not in arguments:
            error.show()
            return error.exit_code
        usage = isinstance(error, click.UsageError)
        hint = "`--help` says how it is written." if usage else ""
        code = "usage" if usage else "failed"
        outcome = CommandOutcome(code, error.format_message(), hint, error.exit_code)
        Output(as_json=True).fail(outcome)
        return error.exit_code
    except (Exception, KeyboardInterrupt, click.exceptions.Abort) as error:  # noqa: BLE001 - the last resort
        outcome = outcome_of(error)
        Output(as_json="--json" in arguments).fail(outcome)
        return outcome.exit_status


def keep_memory() -> None:
    """Have freed memory stay with the process, where it runs on glibc.

    Without this each chunk of 1 MiB is mapped, faulted in page by page, and unmapped again, several
    times on its way: measured, that costs more than masking and copying it.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):  # another libc
        libc = ctypes.CDLL(None)
        for option, value in (
            (_MMAP_THRESHOLD, 32 * _MIB),
            (_TRIM_THRESHOLD, 256 * _MIB),
            (_TOP_PAD, 16 * _MIB),
        ):
            libc.mallopt(option, value)

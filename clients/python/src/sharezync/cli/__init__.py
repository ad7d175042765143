"""The `sharezync` command: what it is given, and how its end is told.

Exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 not logged in; 4 the server can't be
reached; 130 interrupted (the same command goes on where it was).
"""

from collections.abc import Sequence

import click

from sharezync.cli.account import devices, login, logout, register, whoami
from sharezync.cli.chatting import channels, chat
from sharezync.cli.choosing import block, blocks, policy, unblock, who_may_add
from sharezync.cli.counting import statistics
from sharezync.cli.memory import keep_memory
from sharezync.cli.moderating import ban, bans, hide, unban
from sharezync.cli.outcomes import USAGE, ending_of
from sharezync.cli.output import Output, print_what_can_be_printed
from sharezync.cli.receiving import receive
from sharezync.cli.sending import send
from sharezync.cli.storing import download, upload
from sharezync.cli.transfers import transfers


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
    who_may_add, block, unblock, blocks, chat, channels, hide, ban, unban, bans, upload, download,
):  # fmt: skip
    cli.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status. Never raises."""
    keep_memory()
    print_what_can_be_printed()
    try:
        return int(cli.main(list(arguments), prog_name="sharezync", standalone_mode=False) or 0)
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (Exception, KeyboardInterrupt, click.exceptions.Abort) as error:  # noqa: BLE001 - the rim
        ending = ending_of(error)
        Output(as_json="--json" in arguments).end(ending)
        return ending.status

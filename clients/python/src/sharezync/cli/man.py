"""The man page: `python -m sharezync.cli.man > man/sharezync.1`, from what `--help` says.

Source: man-pages(7), groff_man(7).
"""

import re
import sys
from collections.abc import Iterator

import click

from sharezync.cli import cli

_HEADER = '.TH SHAREZYNC 1 "" "sharezync" "User Commands"'


def man_page() -> str:
    """Return the page, in the macros of man."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEADER
    yield ".SH NAME"
    yield "sharezync \\- chat, and files from device to device"
    yield ".SH SYNOPSIS"
    yield ".B sharezync"
    yield "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]..."
    yield ".SH DESCRIPTION"
    yield from _paragraphs(cli.help or "")
    yield ".SH OPTIONS"
    yield "Every command takes these:"
    yield from (".TP", "\\fB\\-\\-url\\fR \\fIURL\\fR", "URL of the server.")
    yield from (".TP", ".B \\-\\-json", "Print a JSON object per line, and no progress bars.")
    yield ".SH COMMANDS"
    context = click.Context(cli, info_name="sharezync")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is not None:
            yield from _command(name, command)
    yield ".SH ENVIRONMENT"
    for variable, meaning in (
        ("SHAREZYNC_URL", "URL of the server, where --url isn't given."),
        ("SHAREZYNC_PATIENCE_SECONDS", "How long requests are tried again; 30 by default."),
        ("XDG_CONFIG_HOME, XDG_STATE_HOME", "Where logins and records of what is under way are."),
    ):
        yield from (".TP", f".B {_escaped(variable)}", _escaped(meaning))


def _command(name: str, command: click.Command) -> Iterator[str]:
    arguments = [_usage(each) for each in command.params if isinstance(each, click.Argument)]
    yield f".SS {' '.join([_escaped(name), *arguments])}"
    yield from _paragraphs(command.help or "")
    for option in command.params:
        if isinstance(option, click.Option) and option.name not in {"url", "as_json"}:
            value = "" if option.is_flag else f" \\fI{_escaped(option.metavar or 'VALUE')}\\fR"
            yield from (".TP", f"\\fB{_escaped(', '.join(option.opts))}\\fR{value}")
            yield _escaped(option.help or "")


def _usage(argument: click.Argument) -> str:
    name = f"\\fI{_escaped(argument.metavar or (argument.name or '').upper())}\\fR"
    return name if argument.required else f"[{name}]"


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        as_it_is = paragraph.startswith("\b")
        lines = [line.strip() for line in paragraph.removeprefix("\b").strip().splitlines()]
        yield ".PP"
        for number, line in enumerate(lines):
            if as_it_is and number:
                yield ".br"
            yield _escaped(line)


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped)


if __name__ == "__main__":
    sys.stdout.write(man_page())

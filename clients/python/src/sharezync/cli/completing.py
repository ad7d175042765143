"""`completion`: what a shell needs to complete commands and options."""

from typing import Final

import click
from click.shell_completion import get_completion_class

_VARIABLE: Final = "_SHAREZYNC_COMPLETE"
_SHELLS: Final = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script by which SHELL completes this command.

    \b
    bash: eval "$(sharezync completion bash)"   in ~/.bashrc
    zsh:  eval "$(sharezync completion zsh)"    in ~/.zshrc
    fish: sharezync completion fish | source    in ~/.config/fish/config.fish
    """  # noqa: D301 - it is the character by which click keeps the lines
    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - click knows these three
    click.echo(made(context.find_root().command, {}, "sharezync", _VARIABLE).source())

"""Groups of commands: a did-you-mean for unknown names, and commands imported on use."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import click


class SuggestingGroup(click.Group):
    """A group that suggests the nearest command for an unknown name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return name, command and the other arguments.

        Raises:
            click.UsageError: there is no such command.
        """
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if "No such command" not in error.format_message():
                raise
            known = [name for name in self.list_commands(ctx) if not self._is_hidden(ctx, name)]
            near = difflib.get_close_matches(args[0], known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx) from None

    def _is_hidden(self, ctx: click.Context, name: str) -> bool:
        command = self.get_command(ctx, name)
        return command is not None and command.hidden


class LazyGroup(SuggestingGroup):
    """Group whose commands are imported on use."""

    def __init__(self, *args: Any, lazy: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order they are declared."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return one command."""
        if name not in self._lazy:
            return None
        command: click.Command = importlib.import_module(self._lazy[name]).command
        return command

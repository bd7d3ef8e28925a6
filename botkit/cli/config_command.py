"""`botkit config`: what a config can say, and what one says."""

import json

import click

from botkit.cli.check_command import command as check_command
from botkit.cli.show_config_command import command as show_command
from botkit.cli.tables import writing
from botkit.config.document_schema import document_schema

__all__ = ["command"]


@click.group("config")
def command() -> None:
    """Print the JSON Schema of configs, show a config, or check one."""


@command.command("schema", short_help="Print the JSON Schema of configs.")
@click.option("--partial", is_flag=True, help="Of a file that others complete: no key is required.")
def schema(*, partial: bool) -> None:
    """Print the JSON Schema of a config, for editors that complete and check while you type.

    It holds the options of every installed venue, strategy and risk rule: print it again after
    installing one. Name it in the first line of a config: #:schema ./botkit.schema.json
    """
    text = json.dumps(document_schema(partial=partial), indent=2, ensure_ascii=False)
    with writing("the schema"):
        click.echo(text)


command.add_command(show_command, "show")
command.add_command(check_command, "check")

"""The command line: `botkit run`, `check`, `new`, `list`, `show-config` and `fills`."""

from botkit.cli.main import main as main
from botkit.cli.main import run_main as run_main

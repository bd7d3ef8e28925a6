"""What `import botkit` costs beside `import trio`: CPU of fresh processes, taken in turn.

python benchmarks/imports.py [--json] [--rounds 15]
"""

import json
import resource
import statistics
import subprocess
import sys

import click

LIMIT = 1.5


def cpu_s(module: str) -> float:
    """Return the seconds of CPU that a new interpreter takes to import `module`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)  # noqa: S603  ours
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--rounds", default=15, show_default=True, help="Pairs; the medians are printed.")
def main(*, as_json: bool, rounds: int) -> None:
    """Measure the imports."""
    cpu_s("botkit")  # writes the byte code
    pairs = [(cpu_s("trio"), cpu_s("botkit")) for _ in range(rounds)]
    figures = {
        "trio_ms": statistics.median(trio for trio, _ in pairs) * 1e3,
        "botkit_ms": statistics.median(botkit for _, botkit in pairs) * 1e3,
        "botkit_over_trio": statistics.median(botkit / trio for trio, botkit in pairs),
    }
    if as_json:
        print(json.dumps({key: round(value, 3) for key, value in figures.items()}))
        return
    for key, value in figures.items():
        print(f"  {key:<20}{value:>10.2f}")
    print(f"  limit: botkit_over_trio at most {LIMIT}")


if __name__ == "__main__":
    main()

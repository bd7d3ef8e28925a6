"""`[alerts]` and `[metrics]` in a config: what they take, and that no address is ever shown."""

from pathlib import Path

import pytest

from botkit.config import AlertKind, Config, load
from botkit.errors import ConfigError

URL = "json://user:passw0rd@host/s3cretpath"
BASE = """
[bot]
name = "x"
[venues.paper]
type = "paper"
[[strategies]]
type = "grid"
instrument = "paper:BTC-EUR"
"""


def read(folder: Path, text: str, **environ: str) -> Config:
    path = folder / "bot.toml"
    path.write_text(BASE + text)
    return load(path, environ=environ)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    source = f"{folder / 'bot.toml'}: "
    return [problem.removeprefix(source) for problem in caught.value.problems]


def test_without_the_sections_nobody_looks(tmp_path: Path) -> None:
    config = read(tmp_path, "")

    assert config.alerts is None
    assert config.metrics is None
    assert "[alerts]" not in config.show()


def test_addresses_are_shown_nowhere(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        f'[alerts]\nurls = ["{URL}", "tgram://${{CHAT}}/1"]\n'
        'heartbeat = { url = "https://beat/s3cretbeat" }\n',
        CHAT="12345:abcde",
    )

    assert config.alerts is not None
    assert [url.reveal() for url in config.alerts.urls] == [URL, "tgram://12345:abcde/1"]
    shown = config.show() + repr(config) + str(config.alerts)
    assert not any(word in shown for word in ("passw0rd", "s3cretpath", "s3cretbeat", "12345"))
    assert 'urls = ["***", "***"]' in config.show()
    assert config.redact(f"at {URL}, https://beat/s3cretbeat, 12345:abcde") == "at ***, ***, ***"


def test_what_is_left_out_is_every_kind_once_a_minute_on_loopback(tmp_path: Path) -> None:
    config = read(tmp_path, f'[alerts]\nurls = ["{URL}"]\n[metrics]\nport = 9464\n')

    assert config.alerts is not None
    assert config.metrics is not None
    assert config.alerts.on == tuple(AlertKind)
    assert config.alerts.every == 60_000_000_000
    assert (config.metrics.port, config.metrics.host) == (9464, "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'alerts = "{URL}"', "alerts: found *** (text), allowed: a table"),
        (
            f'[alerts]\nurls = "{URL}"',
            (
                "alerts.urls: found *** (text), allowed: an array of text, best taken from the "
                'environment as "${NAME}"'
            ),
        ),
        (
            f'[alerts]\nurl = ["{URL}"]',
            "alerts.url: unknown key, allowed: urls, on, every, heartbeat; did you mean 'urls'?",
        ),
        ("[alerts]\n", "alerts: nobody is told: give urls, heartbeat or both"),
        (
            f'[alerts]\nurls = ["{URL}"]\non = ["halted"]',
            (
                'alerts.on.0: found "halted" (text), allowed: "start", "stop", "halt", '
                '"disconnect", "reconnect", "in_doubt", "strategy_failure", "guardian"; '
                "did you mean 'halt'?"
            ),
        ),
        (
            '[alerts]\nheartbeat = { url = "file:///etc/s3cret" }',
            (
                "alerts.heartbeat.url: found *** (text): it must be a web address, as in "
                '"https://example.org/ping/1"'
            ),
        ),
        ("[metrics]\n", "metrics.port: missing, allowed: an integer"),
        ("[metrics]\nport = 65536", "metrics.port: found 65536 (integer), allowed: <= 65535"),
        ("[metrics]\nport = -1", "metrics.port: found -1 (integer), allowed: >= 0"),
        (
            "[metric]\nport = 1",
            (
                "metric: unknown key, allowed: bot, venues, strategies, risk, alerts, metrics; "
                "did you mean 'metrics'?"
            ),
        ),
    ],
)
def test_a_mistake_is_named_and_no_address_with_it(tmp_path: Path, text: str, told: str) -> None:
    if text.startswith("alerts ="):
        (tmp_path / "bot.toml").write_text(f"{text}\n{BASE}")
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / "bot.toml")
        assert caught.value.problems == (f"{tmp_path / 'bot.toml'}: {told}",)
    else:
        assert told in problems(tmp_path, text)
    assert not any(word in told for word in ("passw0rd", "s3cret"))


def test_a_variable_that_is_not_set_is_the_one_problem(tmp_path: Path) -> None:
    told = problems(tmp_path, '[alerts]\nheartbeat = { url = "${BEAT}" }\n')

    assert told == [
        (
            "alerts.heartbeat.url: the environment variable BEAT is not set; set it before "
            "starting the bot"
        )
    ]

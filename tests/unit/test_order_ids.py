import pytest

from botkit.orders.ids import MAX_LENGTH, ClientOrderIds, tag_of


def test_ids_read_bot_run_and_count() -> None:
    ids = ClientOrderIds("demo", "3f9k2c")
    assert [ids.next(), ids.next()] == ["demo-3f9k2c-1", "demo-3f9k2c-2"]


def test_two_runs_never_make_the_same_id() -> None:
    one, two = ClientOrderIds("demo", "a"), ClientOrderIds("demo", "b")
    assert not {one.next() for _ in range(50)} & {two.next() for _ in range(50)}


def test_a_bot_owns_its_ids_from_every_run_and_no_others() -> None:
    ids = ClientOrderIds("demo", "a")
    assert ids.owns(ClientOrderIds("demo", "another-run").next())
    for text in (
        "",
        "demo",
        "demo-a",
        "demo-a-",
        "demo-a-0",
        "demo2-a-1",
        "xdemo-a-1",
        "demo-a-1 ",
    ):
        assert not ids.owns(text)


def test_long_names_that_begin_alike_have_different_tags() -> None:
    tags = {tag_of(f"market-maker-btc-{n}") for n in range(200)}
    assert len(tags) == 200
    assert all(tag.startswith("marketm") for tag in tags)


def test_a_plain_name_that_spells_anothers_tag_has_a_tag_of_its_own() -> None:
    tag = tag_of("market-maker-btc")
    assert tag_of(tag) != tag
    assert tag_of("demo") == "demo"
    assert tag_of("Demo") != tag_of("demo")


@pytest.mark.parametrize("bot", ["x", "Ünïcode Bot", "a" * 100, "---"])
@pytest.mark.parametrize("run_id", ["1", "8f14e45f-ceea-467f-a0e6-000000000000", "UPPER"])
def test_ids_fit_what_venues_take(bot: str, run_id: str) -> None:
    ids = ClientOrderIds(bot, run_id)
    text = ids.next()
    assert len(text) + len(str(10**8)) <= MAX_LENGTH
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert ids.owns(text)


def test_empty_names_are_refused() -> None:
    with pytest.raises(ValueError, match="neither may be empty"):
        ClientOrderIds("", "run")
    with pytest.raises(ValueError, match="neither may be empty"):
        ClientOrderIds("bot", "")

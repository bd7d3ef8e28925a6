"""Plug-ins are found by entry point, module or file; what cannot be found says what is there."""

import contextlib
import importlib
import json
import pickle
import sys
import typing
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from botkit.config import load_plugin, load_strategy_class, names, plugins
from botkit.errors import ConfigError

SOURCE = "bot.toml: strategies.0.type"


@pytest.fixture(autouse=True)
def _clean_import_state() -> Iterator[None]:
    """Leave path and modules as they were."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    importlib.invalidate_caches()


def install(
    site: Path,
    entry_points: str,
    files: dict[str, str],
    *,
    name: str = "acme",
    editable: Path | None = None,
) -> None:
    """Lay a distribution out as pip does: its files, its metadata, and `site` on the path."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    for file, text in files.items():
        path = (editable or site) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    recorded = [] if editable else list(files)
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in recorded))
    if editable:
        record = {"url": editable.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(record))
        sys.path.append(str(editable))
    sys.path.append(str(site))
    importlib.invalidate_caches()


def plugin_error(name: str, group: typing.Any = "botkit.venues") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_plugin(group, name, "bot.toml: venues.a.type")
    assert str(caught.value).startswith("bot.toml: venues.a.type: ")
    return caught.value


def class_error(type_: str, base_dir: Path | str = ".") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_strategy_class(type_, SOURCE, str(base_dir))
    assert str(caught.value).startswith(SOURCE + ": ")
    return caught.value


# Entry points -------------------------------------------------------------------------------------


def test_a_plug_in_of_a_third_party_is_found_by_name(tmp_path: Path) -> None:
    install(
        tmp_path,
        "[botkit.venues]\nacme = acme_venue.core:Venue\nnested = acme_venue.core:Venue.Inner\n",
        {
            "acme_venue/__init__.py": "",
            "acme_venue/core.py": "class Venue:\n    class Inner:\n        pass\n",
        },
    )
    assert {"acme", "nested", "paper"} <= set(names("botkit.venues"))
    assert names("botkit.venues") == sorted(names("botkit.venues"))
    venue = typing.cast("typing.Any", load_plugin("botkit.venues", "acme", "f"))
    assert venue.__module__ == "acme_venue.core"
    assert load_plugin("botkit.venues", "nested", "f") is venue.Inner


def test_an_unknown_name_is_held_against_the_known() -> None:
    text = str(plugin_error("papr"))
    assert text.startswith(
        'bot.toml: venues.a.type: found "papr" (text), allowed: the plug-ins of botkit.venues: '
    )
    assert '"paper"' in text
    assert text.endswith("; did you mean 'paper'?")
    assert str(plugin_error("x", "botkit.nothing")).endswith("botkit.nothing: none is installed")


def test_two_distributions_of_one_name_are_told(tmp_path: Path) -> None:
    for name in ("one", "two"):
        install(tmp_path / name, f"[botkit.venues]\nacme = {name}_venue:Venue\n", {}, name=name)
    assert str(plugin_error("acme")) == (
        'bot.toml: venues.a.type: "acme" is a plug-in of botkit.venues in several distributions: '
        "one 1.0 (one_venue:Venue), two 1.0 (two_venue:Venue); uninstall all but one"
    )


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import json\n1 / 0\n", "ZeroDivisionError: division by zero ({file}, line 2)"),
        ("def f(:\n", "SyntaxError: invalid syntax (bad_venue.py, line 1) ({file}, line 1)"),
        ("import nowhere_at_all\n", "No module named 'nowhere_at_all' ({file}, line 1)"),
    ],
)
def test_an_import_that_fails_is_told_with_its_place_and_cause(
    tmp_path: Path, code: str, told: str
) -> None:
    install(tmp_path, "[botkit.venues]\nbad = bad_venue:Venue\n", {"bad_venue.py": code})
    error = plugin_error("bad")
    assert 'the plug-in "bad" of botkit.venues (bad_venue:Venue of acme 1.0) cannot be' in str(
        error
    )
    assert str(error).endswith(told.format(file=tmp_path / "bad_venue.py"))
    assert type(error.__cause__).__name__ in str(error)


def test_a_plug_in_without_its_module_or_class_is_told(tmp_path: Path) -> None:
    install(
        tmp_path,
        "[botkit.venues]\ngone = gone_venue:Venue\nbad = bad_venue:Venu\nnone = no_venue:Venue\n",
        {"bad_venue.py": "class Venue: pass\n", "no_venue.py": "x = 1\n"},
    )
    assert str(plugin_error("gone")).endswith("ModuleNotFoundError: No module named 'gone_venue'")
    assert str(plugin_error("bad")).endswith(
        'bad_venue.py has no "Venu", allowed: "Venue"; did you mean \'Venue\'?'
    )
    assert str(plugin_error("none")).endswith(
        'no_venue.py has no "Venue", allowed: nothing, there is no class in it'
    )


@pytest.mark.parametrize("editable", [False, True])
@pytest.mark.parametrize("layout", ["acme_pack/__init__.py", "acme_pack.py"])
def test_a_folder_that_shadows_a_plug_in_is_named(
    tmp_path: Path, layout: str, *, editable: bool
) -> None:
    source = tmp_path / "source" if editable else None
    site = tmp_path / "site"
    files = {layout: "class Venue: pass\n"}
    install(site, "[botkit.venues]\nacme = acme_pack:Venue\n", files, editable=source)
    mine = tmp_path / "work" / "acme_pack"
    mine.mkdir(parents=True)
    (mine / "__init__.py").touch()
    sys.path.insert(0, str(mine.parent))
    importlib.invalidate_caches()
    package = (source or site) / layout.removesuffix("/__init__.py")
    assert str(plugin_error("acme")) == (
        'bot.toml: venues.a.type: the plug-in "acme" of botkit.venues '
        "(acme_pack:Venue of acme 1.0): "
        f"its package acme_pack lies in {package}, but {mine} shadows it; rename {mine}"
    )
    sys.path.remove(str(mine.parent))
    sys.modules.pop("acme_pack", None)
    importlib.invalidate_caches()
    assert isinstance(load_plugin("botkit.venues", "acme", "f"), type)


def test_our_own_plug_ins_are_not_shadowed_by_the_source_tree_botkit_runs_from(
    tmp_path: Path,
) -> None:
    """An installed botkit run from a clone takes both packages from there, and that is well."""
    entry_points = "[botkit.venues]\npaper = venues.paper:PaperVenue\n"
    for name, is_refused in (("botkit", False), ("other", True)):
        install(tmp_path / name, entry_points, {"venues/__init__.py": ""}, name=name)
        distribution = Distribution.at(tmp_path / name / f"{name}-1.0.dist-info")
        (point,) = distribution.entry_points
        with pytest.raises(ConfigError) if is_refused else contextlib.nullcontext():
            plugins.refuse_shadow(point, "it")


def test_a_module_made_by_hand_is_not_taken_for_a_shadow(tmp_path: Path) -> None:
    install(tmp_path, "[botkit.venues]\nacme = by_hand:Venue\n", {"by_hand.py": ""})
    module = type(sys)("by_hand")
    module.Venue = int  # type: ignore[attr-defined]  # a module made by hand
    sys.modules["by_hand"] = module
    assert load_plugin("botkit.venues", "acme", "f") is int


# package.module:Class -----------------------------------------------------------------------------


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a working directory with a package, a module and a file that fails."""
    folder = tmp_path / "work"
    (folder / "my_bots").mkdir(parents=True)
    (folder / "my_bots" / "__init__.py").touch()
    (folder / "my_bots" / "maker.py").write_text("class Maker: pass\nvalue = 3\n")
    (folder / "alone.py").write_text("from my_bots.maker import Maker\nclass Alone(Maker): pass\n")
    (folder / "broken.py").write_text("import json\nraise RuntimeError('oh')\n")
    monkeypatch.chdir(folder)
    sys.path[:] = [entry for entry in sys.path if entry not in {"", "."}]
    importlib.invalidate_caches()
    return folder


def test_a_class_in_the_working_directory_is_found(work: Path) -> None:
    maker = load_strategy_class("my_bots.maker:Maker", SOURCE, ".")
    assert maker.__name__ == "Maker"
    assert sys.path[-1] == str(work)
    assert load_strategy_class("alone:Alone", SOURCE, ".").__mro__[1] is maker
    assert sys.path.count(str(work)) == 1


def test_a_module_that_is_not_there_says_what_is(work: Path) -> None:
    assert str(class_error("my_bots.makr:Maker")).endswith(
        f'the package my_bots in {work / "my_bots"} has no module makr, allowed: "maker"; '
        "did you mean 'maker'?"
    )
    assert str(class_error("my_bot.maker:Maker")).endswith(
        "there is no module my_bot on Python's path, nor in the working directory "
        f'{work}, which has "alone.py", "broken.py"'
    )


def test_a_folder_hidden_by_a_package_of_the_same_name_is_told(work: Path) -> None:
    (work / "json").mkdir()
    (work / "json" / "mine.py").touch()
    text = str(class_error("json.mine:Mine"))
    assert "the package json in " in text
    assert text.endswith(f"the folder {work / 'json'} is shadowed by that package: rename it")


def test_a_class_that_is_not_there_says_which_are(work: Path) -> None:
    assert str(class_error("my_bots.maker:Makr")).endswith(
        f'{work / "my_bots" / "maker.py"} has no "Makr", allowed: "Maker"; did you mean \'Maker\'?'
    )
    assert str(class_error("my_bots.maker:value")).endswith("found a int, allowed: a class")


def test_a_module_that_fails_is_told_with_its_cause(work: Path) -> None:
    error = class_error("broken:Broken")
    assert str(error) == (
        f'{SOURCE}: "broken:Broken" cannot be imported: RuntimeError: oh '
        f"({work / 'broken.py'}, line 2)"
    )
    assert isinstance(error.__cause__, RuntimeError)
    (work / "needy.py").write_text("import nowhere_at_all\n")
    importlib.invalidate_caches()
    assert "No module named 'nowhere_at_all'" in str(class_error("needy:Needy"))


@pytest.mark.usefixtures("work")
def test_a_name_of_no_kind_says_the_three_ways() -> None:
    for type_ in ("./maker:Maker", "a b:C", "a/b", "my_bots.maker:"):
        assert str(class_error(type_)).endswith(
            "allowed: an entry point, package.module:Class or ./path/to/file.py:Class"
        )
    assert "the plug-ins of botkit.strategies" in str(class_error("market_makr"))


def test_an_entry_point_names_a_strategy(tmp_path: Path) -> None:
    install(tmp_path, "[botkit.strategies]\nacme = acme_s:S\n", {"acme_s.py": "class S: pass\n"})
    assert load_strategy_class("acme", SOURCE, ".").__name__ == "S"


# ./path/to/file.py:Class --------------------------------------------------------------------------

FILE = """
from __future__ import annotations
import attrs, typing
from botkit.strategy import Strategy

@attrs.frozen
class Params:
    qty: int = 1

class Mine(Strategy):
    params: Params
"""


def test_a_file_is_looked_for_beside_the_config_then_in_the_working_directory(
    work: Path, tmp_path: Path
) -> None:
    beside = tmp_path / "configs"
    beside.mkdir()
    (beside / "mine.py").write_text(FILE)
    (work / "mine.py").write_text("class Mine: pass\n")
    first = load_strategy_class("./mine.py:Mine", SOURCE, str(beside))
    assert sys.modules[first.__module__].__file__ == str(beside / "mine.py")
    (beside / "mine.py").unlink()
    second = load_strategy_class("./mine.py:Mine", SOURCE, str(beside))
    assert sys.modules[second.__module__].__file__ == str(work / "mine.py")
    assert load_strategy_class(f"{work}/mine.py:Mine", SOURCE, str(beside)) is second


def test_a_class_from_a_file_works_with_pickle_and_typing(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    mine = load_strategy_class("mine.py:Mine", SOURCE, str(tmp_path))
    module = sys.modules[mine.__module__]
    assert pickle.loads(pickle.dumps(module.Params(5))) == module.Params(5)  # noqa: S301 - our own
    assert typing.get_type_hints(mine)["params"] is module.Params


def test_a_file_with_one_strategy_needs_no_class_name(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    assert load_strategy_class("./mine.py", SOURCE, str(tmp_path)).__name__ == "Mine"
    (tmp_path / "more.py").write_text(FILE + "class Yours(Mine): pass\n")
    assert str(class_error("./more.py", tmp_path)).endswith(
        '"./more.py:Class" with one of the strategies in it: "Mine", "Yours"'
    )
    (tmp_path / "none.py").write_text("class Strategy: pass\nclass Mine(Strategy): pass\n")
    assert str(class_error("./none.py", tmp_path)).endswith("of the strategies in it: none")


@pytest.mark.usefixtures("work")
def test_a_file_or_class_that_is_not_there_says_what_is(tmp_path: Path, work: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    assert str(class_error("./min.py:Mine", tmp_path)) == (
        f'{SOURCE}: found "./min.py", allowed: a file: {tmp_path / "min.py"} is not there, its '
        f'folder has "mine.py"; {work / "min.py"} is not there, its folder has "alone.py", '
        '"broken.py"'
    )
    assert "its folder has no Python file" in str(class_error("./gone/min.py:Mine", tmp_path))
    assert str(class_error("./mine.py:Min", tmp_path)).endswith(
        'mine.py has no "Min", allowed: "Params", "Mine"; did you mean \'Mine\'?'
    )


def test_a_file_that_fails_is_told_and_can_be_mended(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\nraise KeyError('x')\n")
    error = class_error("./mine.py:Mine", tmp_path)
    assert str(error).endswith(
        f"\"./mine.py\" cannot be imported: KeyError: 'x' ({tmp_path / 'mine.py'}, line 2)"
    )
    assert isinstance(error.__cause__, KeyError)
    (tmp_path / "mine.py").write_text("class Mine:\n    mended = True\n")
    assert load_strategy_class("./mine.py:Mine", SOURCE, str(tmp_path)).__name__ == "Mine"

"""Suites of other packages."""

from importlib import metadata

import pytest

from mubench.discovery.suites import GROUP, suite_files
from mubench.errors import UsageError


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """`installed(name)`: a package that brings a suite of this name."""

    def install(name):
        folder = tmp_path / "their_suites"
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / f"{name}.toml").write_text('title = "theirs"')
        monkeypatch.syspath_prepend(str(tmp_path))
        entry = metadata.EntryPoint("theirs", "their_suites", GROUP)
        monkeypatch.setattr(metadata, "entry_points", lambda group: [entry] if group == GROUP else [])
        return folder / f"{name}.toml"

    return install


def test_suites_of_an_installed_package_are_found(installed):
    before = suite_files()
    file = installed("theirs")

    assert suite_files() == {**before, "theirs": file}
    assert "digits-random-50" in before


def test_two_suites_of_one_name_name_both_files(installed):
    file = installed("digits-random-50")

    with pytest.raises(UsageError, match=rf"'digits-random-50': .*benchmarks.* and {file}"):
        suite_files()

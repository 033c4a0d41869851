"""What the files about the project say agrees: versions of Python, the version, the licence."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

import mubench

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def setup():
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_the_same_versions_of_python_are_promised_and_tested(setup):
    classified = re.findall(r"Python :: (3\.\d+)", setup["metadata"]["classifiers"])
    (matrix,) = re.findall(r"python: (\[.*\])", text(".github/workflows/tests.yml"))

    assert re.findall(r"3\.\d+", matrix) == classified
    assert setup["options"]["python_requires"] == f">={classified[0]}"
    assert f"Python {classified[0]} to {classified[-1]}" in text("docs/stability.md")


def test_the_citation_is_of_this_version_and_licence(setup):
    citation = dict(re.findall(r"^([\w-]+): (.+)$", text("CITATION.cff"), re.M))

    assert citation["version"] == mubench.__version__
    assert citation["license"] == setup["metadata"]["license"]
    assert f"name: {setup['metadata']['author']}" in text("CITATION.cff")
    assert setup["metadata"]["author"] in text("LICENSE")


def test_the_release_reads_the_version_from_its_file():
    assert re.findall(r'^__version__ = "(.*)"$', text("mubench/version.py"), re.M) == [mubench.__version__]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_unless_a_job_says_more(path):
    whole = path.read_text(encoding="utf-8")

    assert "\npermissions:\n  contents: read\n" in whole
    assert not re.search(r"(password|secrets\.|token:(?! write))", whole)


def test_every_folder_with_code_is_packaged(setup):
    packages = setup["options"]["packages"].split()
    folders = {p.parent for p in (ROOT / "mubench").rglob("*.py")}

    assert {".".join(f.relative_to(ROOT).parts) for f in folders} <= set(packages)

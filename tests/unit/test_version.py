"""The version of a package is the newest tag of the tree it is made from."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "setup.py"
GIT = ("git", "-c", "user.name=tests", "-c", "user.email=tests@example.org", "-c", "commit.gpgsign=false")


@pytest.fixture
def tree(tmp_path):
    shutil.copy(SETUP, tmp_path)
    return tmp_path


def git(tree, *words):
    return subprocess.run([*GIT, *words], cwd=tree, check=True, capture_output=True, text=True).stdout.strip()


def version(tree):
    command = [sys.executable, "-W", "ignore", "-c", "import setup; print(setup.version())"]
    return subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True).stdout.strip()


def test_a_tagged_commit_has_the_version_of_its_tag_and_later_ones_say_how_far_they_are(tree):
    git(tree, "init")
    git(tree, "add", ".")
    git(tree, "commit", "-m", "one")
    git(tree, "tag", "v3.2.1")
    git(tree, "tag", "not-a-version")

    assert version(tree) == "3.2.1"

    git(tree, "commit", "--allow-empty", "-m", "two")
    assert version(tree) == f"3.2.1.post1+g{git(tree, 'rev-parse', '--short', 'HEAD')}"


def test_an_unpacked_sdist_keeps_its_version(tree):
    (tree / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: nova-control-plane\nVersion: 4.5.6\n\nText.\n")

    assert version(tree) == "4.5.6"


def test_a_tree_without_tags_has_the_same_version_with_and_without_its_history(tree):
    without = version(tree)
    git(tree, "init")
    git(tree, "add", ".")
    git(tree, "commit", "-m", "one")

    assert version(tree) == without
    assert without[0].isdigit()

"""The pages of the documentation that the code writes about itself: nothing is missing in them."""

import configparser
import sys
from pathlib import Path

import pytest
import yaml

from nova import conf, errors
from nova.api.compute import MODULES, versions
from nova.http.declaration import collect
from nova.notifications.table import event_types
from nova.policies import compute, network, placement

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    found_in = [str(_ROOT / "doc" / "ext"), str(_ROOT / "tools")]
    sys.path[:0] = found_in
    import reference

    directory = tmp_path_factory.mktemp("reference")
    reference.write(directory)
    yield {path.stem: path.read_text() for path in directory.glob("*.md")}
    for path in found_in:
        sys.path.remove(path)


def test_every_option_stands_under_its_group(pages):
    sections = dict(part.partition("]")[::2] for part in pages["options"].split("\n## [")[1:])
    missing = [
        (group, one.dest)
        for group, options in conf.list_options()
        for one in options
        if f"\n`{one.dest}` (" not in sections[group]
    ]

    assert missing == []


def test_every_rule_stands_with_its_default(pages):
    rules = [one for module in (compute, network, placement) for one in module.list_rules()]

    assert [one.name for one in rules if f"\n`{one.name}`\n: Default `{one.check_str}`." not in pages["policies"]] == []
    assert "`POST /servers/{server_id}/action (os-start)`" in pages["policies"]


def test_every_command_has_its_options(pages):
    setup_file = configparser.ConfigParser()
    setup_file.read(_ROOT / "setup.cfg")
    scripts = [line.split()[0] for line in setup_file["options.entry_points"]["console_scripts"].split("\n") if line]
    sections = {part.split("\n")[0]: part for part in pages["commands"].split("\n## ")[1:]}

    assert list(sections) == scripts
    assert all("usage: " in text or "Its options are those of [" in text for text in sections.values())
    assert "### nova-manage cell_v2 create_cell" in sections["nova-manage"]


def test_every_notification_and_metric_and_error_is_listed(pages):
    assert [one for one in event_types() if f"| `{one}` |" not in pages["notifications"]] == []
    assert "| `nova_operation_takeovers_total` | counter |" in pages["metrics"]
    assert "| `nova_step_seconds` | histogram | `operation`, `step`, `outcome` |" in pages["metrics"]
    assert f"| 404 | `{errors.FlavorNotFound.__name__}` |" in pages["errors"]
    assert "| 409 | `placement.concurrent_update` |" in pages["errors"]


def test_every_release_note_is_told(pages):
    notes = (_ROOT / "releasenotes" / "notes").glob("*.yaml")
    wanted = sum(len(told) for path in notes for kind, told in yaml.safe_load(path.read_text()).items())

    assert pages["release-notes"].count("\n* ") == wanted


def test_every_operation_is_described(pages):
    held = [one for one in collect(*MODULES) if one.holds(versions.MAXIMUM)]
    shown = [f"\n### {one.method} {one.path}\n" for one in held if not one.is_gone]
    removed = [f"\n* `{one.method} {one.path}`\n" for one in held if one.is_gone and one.action is None]

    assert [one for one in [*shown, *removed] if one not in pages["api"]] == []


def test_pages_that_are_as_they_should_be_are_not_written_anew(pages, tmp_path):
    import reference

    reference.write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    reference.write(tmp_path)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before

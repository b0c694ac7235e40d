"""Every message is one line of the log, whatever it repeats."""

import logging

import pytest

from tests.log_file import log_file


@pytest.fixture
def log(tmp_path):
    with log_file(tmp_path / "nova.log") as lines:
        yield lines


@pytest.mark.parametrize(
    "character", ["\n", "\r", "\v", "\f", "\x1b", "\x00", "\x7f", "\x85", "\u2028", "\u2029"], ids=ascii
)
def test_a_character_that_ends_a_line_or_commands_a_terminal_is_written_as_its_escape(log, character):
    logging.getLogger("some.library").warning("there is no %s here", f"web{character}FORGED")

    [line] = log()
    assert character not in line
    assert line.endswith("there is no web" + character.encode("unicode_escape").decode() + "FORGED here")


def test_text_of_other_alphabets_stays_as_it_is(log):
    logging.getLogger("nova").warning("server %s", "Bücher 本 🦊")

    assert log()[0].endswith("server Bücher 本 🦊")


def test_a_traceback_has_its_lines_and_none_of_them_can_be_taken_for_a_message(log):
    try:
        raise ValueError("web\nFORGED")
    except ValueError:
        logging.getLogger("nova").exception("failed for %s", "web\nFORGED")

    lines = log()
    assert "failed for web\\nFORGED: ValueError: web\\nFORGED" in lines[0]
    assert any(line.endswith("Traceback (most recent call last):") for line in lines)
    assert not [line for line in lines if line.startswith("FORGED")]


def test_the_error_that_is_handled_while_a_warning_is_written_breaks_no_line(log):
    try:
        raise RuntimeError("web\rFORGED")
    except RuntimeError:
        logging.getLogger("nova").warning("tried again")

    [line] = log()
    assert line.endswith("tried again: RuntimeError: web\\rFORGED")

"""What looks like a secret is hidden, and what does not stays."""

import pytest

from nova.cmd.manage.secret_mask import Mask


@pytest.mark.parametrize(
    "line",
    [
        "X-Auth-Token: planted-token",
        '{"x-subject-token": "planted-token"}',
        "Authorization: Bearer planted-token",
        "body {'adminPass': 'planted-token'}",
        '{"auth": {"password": "planted-token"}}',
        "token gAAAAABplanted-tokenplanted-token==",
        "postgresql+psycopg://nova:planted-token@db/nova",
        "rabbit://a:planted-token@one:5672,b:planted-token@two:5672/",
        "-----BEGIN PRIVATE KEY-----planted-token-----END PRIVATE KEY-----",
    ],
    ids=range(9),
)
def test_what_looks_like_a_secret_is_hidden_though_no_option_holds_it(line):
    masked = Mask([]).text(f"before\n{line}\nafter\n")

    assert "planted-token" not in masked
    assert masked.startswith("before\n") and masked.endswith("\nafter\n")


def test_a_short_secret_is_hidden_as_a_word_and_not_in_others():
    assert Mask(["db"]).text("password db of adb and dbus, (db)") == "password *** of adb and dbus, (***)"


def test_a_secret_that_is_the_beginning_of_another_leaves_nothing_of_it():
    assert Mask(["secret-1", "secret-1-longer"]).text("secret-1-longer secret-1") == "*** ***"


@pytest.mark.parametrize(
    "text",
    [
        "server 5d4d4c40-ab93-4e3a-847f-a9acf12a1b69 is ACTIVE on host-1",
        "GET http://network:9696/v2.0/ports?device_id=x 200",
        "ports a, b are not plugged",
    ],
    ids=range(3),
)
def test_what_is_no_secret_stays(text):
    assert Mask(["a-secret", ""]).text(text) == text

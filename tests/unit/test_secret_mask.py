"""What looks like a secret is hidden, and what does not stays."""

import pytest

from nova.cmd.manage.secret_mask import Mask, secrets_of
from nova.conf.files import Setting


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
        "GET /vnc_lite.html?path=%3Ftoken%3Dplanted-token HTTP/1.1",
        "GET /?token=planted-token HTTP/1.1",
        "admin_pass: planted-token",
    ],
    ids=range(12),
)
def test_what_looks_like_a_secret_is_hidden_though_no_option_holds_it(line):
    masked = Mask([]).text(f"before\n{line}\nafter\n")

    assert "planted-token" not in masked
    assert masked.startswith("before\n") and masked.endswith("\nafter\n")


@pytest.mark.parametrize("password", ["pa,ss@word", "pass word", "plain"])
def test_a_password_in_a_url_of_the_configuration_is_hidden_wherever_it_stands(password):
    setting = Setting("f", "database", "connection", f"mysql+pymysql://nova:{password}@db/nova")

    assert Mask(secrets_of([setting], {})).text(f"says <{password}>") == "says <***>"


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

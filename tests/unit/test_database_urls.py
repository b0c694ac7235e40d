"""The URL of a database names a driver, or means the one that is installed."""

import pytest

from nova.db.engine import Database


@pytest.mark.parametrize(
    "url, driver",
    [
        ("mysql://nova:secret@controller/nova", "pymysql"),
        ("mysql+pymysql://nova:secret@controller/nova?charset=utf8", "pymysql"),
        ("postgresql://nova:secret@controller/nova", "psycopg"),
        ("postgres://nova:secret@controller/nova", "psycopg"),
    ],
)
def test_a_database_is_reached_by_the_driver_that_is_installed(url, driver):
    database = Database(url)

    assert database.engine.dialect.driver == driver
    assert database.engine.url.render_as_string(hide_password=False).partition("://")[2] == url.partition("://")[2]
    database.close()

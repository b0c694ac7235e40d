"""Placement's tables: made by migrations, equal to the models, at home in any database."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from nova.cmd import placement_manage
from nova.placement import database_version, sync_database
from nova.placement.models import Base
from tests.functional.placement.cloud import Placement, configure
from tests.functional.placement.conftest import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_migrations_make_what_the_models_say(kind: str, tmp_path: Path, new_database: Callable[[str], str]) -> None:
    url = new_database(kind)
    sync_database(configure(tmp_path, url))

    with sa.create_engine(url).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": "placement_alembic_version",
                "include_name": lambda name, kind, _: kind != "table" or name.startswith("placement_"),
            },
        )
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.parametrize("kind", KINDS)
def test_sync_beside_other_tables_may_be_repeated_and_keeps_all(
    kind: str, tmp_path: Path, new_database: Callable[[str], str]
) -> None:
    url = new_database(kind)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE instances (id INTEGER)")
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('of another')")
    conf = configure(tmp_path, url)

    sync_database(conf)
    placement = Placement(tmp_path, url)
    host = placement.add_host("host", VCPU=8)
    sync_database(conf)

    assert placement.get(f"/resource_providers/{host}")["name"] == "host"
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "of another"
    assert database_version(conf) == "0001"


def test_operator_syncs_with_placement_manage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = tmp_path / "nova.conf"
    conf.write_text(f"[placement_database]\nconnection = sqlite:///{tmp_path}/new/placement.sqlite\n")

    assert placement_manage.run(["--config-file", str(conf), "db", "version"]) == 0
    assert placement_manage.run(["--config-file", str(conf), "db", "sync"]) == 0
    assert placement_manage.run(["db", "version", "--config-file", str(conf)]) == 0

    assert capsys.readouterr().out.split() == ["none", "0001"]


def test_operator_is_told_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = tmp_path / "nova.conf"
    conf.write_text("[placement_database]\n")

    assert placement_manage.run(["--config-file", str(conf), "db", "sync"]) == 2
    assert placement_manage.run(["--config-file", str(conf), "db"]) == 2

    told = capsys.readouterr().err
    assert "[placement_database] connection is not set" in told
    assert "usage: placement-manage" in told


@pytest.mark.parametrize("kind", KINDS)
def test_database_without_tables_is_unavailable_and_says_what_to_do(
    kind: str, tmp_path: Path, new_database: Callable[[str], str]
) -> None:
    url = f"sqlite:///{tmp_path}/bare.sqlite" if kind == "sqlite" else new_database(kind)
    placement = Placement(tmp_path, url)

    refused = [
        placement.call("GET", "/resource_providers"),
        placement.call("POST", "/resource_providers", {"name": "host"}),
    ]
    sync_database(configure(tmp_path, url))

    assert [answer.status for answer in refused] == [503, 503]
    assert all("placement-manage db sync" in answer.error["detail"] for answer in refused)
    assert placement.get("/resource_providers") == {"resource_providers": []}

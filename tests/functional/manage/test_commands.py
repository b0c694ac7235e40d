"""nova-manage and nova-status, with the commands an installation guide names."""

import json

import pytest

from nova.db import migrations


@pytest.mark.parametrize(
    "order",
    [
        # As the guides of Ocata and later have it: the tables come last.
        ("api_db sync", "cell_v2 map_cell0", "cell_v2 create_cell --name=cell1 --verbose", "db sync"),
        ("cell_v2 map_cell0", "cell_v2 create_cell --name=cell1 --verbose", "db sync"),
        ("db sync", "cell_v2 simple_cell_setup"),
    ],
    ids=" then ".join,
)
def test_the_guides_commands_work_in_its_order(manage, order):
    for words in order:
        done = manage(*words.split())
        assert done.returncode == 0, done.stderr

    listed = manage("cell_v2", "list_cells").stdout

    assert "cell0" in listed and "cell1" in listed
    assert "secret" not in listed
    assert "Found 0 hosts" in manage("cell_v2", "discover_hosts").stdout
    assert manage("db", "version").stdout.strip() == migrations.newest()


@pytest.mark.parametrize(
    "words, status, said",
    [
        ("cell_v2 delete_cell --cell_uuid none", 1, "was not found"),
        ("cell_v2 update_cell --cell_uuid none --name other", 1, "was not found"),
        ("cell_v2 discover_hosts --strict", 1, "Found 0 hosts"),
        ("cell_v2 list_hosts", 0, "Hostname"),
        ("cell_v2 verify_instance --uuid none", 1, "is not mapped"),
        ("cell_v2 delete_host --host none", 2, "was not found"),
        ("cell_v2 map_instances --cell_uuid any", 0, "nothing to map"),
        ("db purge", 2, "--all or --before"),
        ("db purge --before yesterday", 1, "yesterday is no date"),
        ("db purge --all", 3, ""),
        ("db archive_deleted_rows --max_rows 10 --until-complete", 0, "nova-manage db purge"),
        ("db archive_deleted_rows --purge", 0, ""),
        ("db online_data_migrations --max-count 10", 0, "no data to migrate"),
        ("placement db sync", 0, ""),
        ("placement heal_allocations", 4, ""),
        ("placement heal_allocations --instance none", 1, "could not be found"),
        ("placement audit --verbose", 0, ""),
        ("placement sync_aggregates", 0, ""),
        ("image_property show none hw_disk_bus", 2, "could not be found"),
        ("image_property set none --property disk=1", 4, "no image property that can be set"),
        ("host rename one two", 1, "nova-manage: "),
        ("operation list", 0, "Waits for"),
        ("operation show none", 1, "is not under way"),
        ("operation retry none", 1, "is not under way"),
        ("operation abandon none", 1, "is not under way"),
        ("capacity show --flavor none", 1, "could not be found"),
        ("quota report", 0, "In use"),
    ],
)
def test_every_command_ends_with_upstreams_status_and_a_line(manage, words, status, said):
    manage("db", "sync")

    done = manage(*words.split())

    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done.stdout + done.stderr
    assert len((done.stdout + done.stderr).splitlines()) <= 4


def test_a_database_without_tables_is_told_in_a_line(manage):
    done = manage("db", "purge", "--all")

    assert done.returncode == 1
    assert "nova-manage db sync" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_upgrade_check_tells_what_must_be_done_first(run):
    before = run("status", "upgrade", "check")
    run("manage", "db", "sync")
    after = run(
        "status", "upgrade", "check", "--json", more="[oslo_policy]\npolicy_file = policy.json\n[api]\nmax_limt = 5\n"
    )

    assert before.returncode == 2
    assert "| Upgrade Check Results " in before.stdout
    assert "run nova-manage db sync" in before.stdout
    assert len({len(line) for line in before.stdout.splitlines()}) == 1
    found = {one["check"]: (one["result"], one["details"]) for one in json.loads(after.stdout)["checks"]}
    assert found["Database"] == (0, None)
    assert found["Policy File"][0] == 2
    assert found["Configuration"][0] == 1 and "max_limit" in found["Configuration"][1]
    # Nobody listens where it is said to be.
    assert found["Placement API"][0] == 2 and "Placement" in found["Placement API"][1]

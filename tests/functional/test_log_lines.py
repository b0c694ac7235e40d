"""Names that users give end no line of the daemons' logs."""

import pytest

from nova import errors
from tests.functional.invariants import settle
from tests.log_file import log_file

FORGED = "\nFORGED"


@pytest.fixture
def log(tmp_path):
    with log_file(tmp_path / "nova.log") as lines:
        yield lines


def test_line_breaks_in_names_of_security_groups_servers_and_images_stay_within_their_lines(cloud, log):
    host = cloud.add_host()
    user = cloud.client()
    names = [f"group{FORGED}", f"server{FORGED}", f"image{FORGED}"]
    server_id = user.create_server()["id"]

    for name in names:
        host.fail("set_power", errors.GuestFailed(reason=f"'{name}' does not do"))
        user.post(f"/servers/{server_id}/action", {"os-stop": None})
        settle(cloud)

    lines = log()
    assert not [line for line in lines if line.startswith("FORGED")]
    for word in ("group", "server", "image"):
        assert [line for line in lines if "nova.conductor" in line and f"{word}\\nFORGED' does not do" in line]
        assert [line for line in lines if "nova.compute" in line and f"{word}\\nFORGED' does not do" in line]

"""What a project has used, as Horizon's overview asks for it: from yesterday until the end of today, or later."""

import datetime


def test_hours_that_are_still_to_come_are_not_used_yet(cloud):
    cloud.add_host("host-1")
    user = cloud.client("user", "project")
    user.create_server()
    today = datetime.datetime.now(datetime.UTC).date()
    period = f"start={today - datetime.timedelta(days=1)}T00:00:00&end={today + datetime.timedelta(days=7)}T23:59:59"

    usage = user.get(f"/os-simple-tenant-usage/project?{period}").json()["tenant_usage"]

    [server] = usage["server_usages"]
    assert 0 < server["hours"] < 0.1
    assert usage["total_hours"] == server["hours"]
    assert usage["stop"].startswith(str(today + datetime.timedelta(days=7)))

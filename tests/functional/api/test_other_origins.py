"""Pages of other origins, as [cors] lets them ask the Compute API."""

ORIGIN = "https://dashboard.example"


def test_only_pages_of_an_allowed_origin_may_ask(make_cloud):
    cloud = make_cloud(f"\n[cors]\nallowed_origin = {ORIGIN}\n")
    wanted = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,openstack-api-version,x-auth-token",
    }
    user = cloud.client()

    allowed = user.request("OPTIONS", "/servers", headers={**wanted, "Origin": ORIGIN})
    answered = user.get("/servers", headers={"Origin": ORIGIN})
    foreign = user.request("OPTIONS", "/servers", headers={**wanted, "Origin": "https://evil.example"})

    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answered.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "OpenStack-API-Version" in answered.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in foreign.headers

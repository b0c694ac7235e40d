"""Volumes and snapshots through this API, as old clients ask for them."""


def test_old_clients_find_volumes_and_snapshots_here(cloud):
    old, new = cloud.client(version="2.35"), cloud.client(version="2.36")

    made = old.post("/os-volumes", {"volume": {"size": 2}}).json()["volume"]
    snapshot = old.post("/os-snapshots", {"snapshot": {"volume_id": made["id"], "display_name": "s"}}).json()[
        "snapshot"
    ]

    assert (made["size"], made["attachments"]) == (2, [{}])
    assert [one["id"] for one in old.get("/os-volumes").json()["volumes"]] == [made["id"]]
    assert old.get(f"/os-snapshots/{snapshot['id']}").json()["snapshot"]["volumeId"] == made["id"]
    assert old.delete(f"/os-snapshots/{snapshot['id']}").status_code == 202
    assert old.delete(f"/os-volumes/{made['id']}").status_code == 202
    assert old.get(f"/os-volumes/{made['id']}").status_code == 404
    assert new.get("/os-volumes").status_code == 404

"""Requests to the Compute API with the session that the openstack client has logged in with."""

from osc_lib import exceptions

# Names of networks may be words (auto, none) from 2.37 on; later versions change nothing that is asked for here.
_VERSION = "compute 2.90"


class Compute:
    """The Compute API of the region that the user chose."""

    def __init__(self, manager):
        self._session = manager.session
        region = {"region_name": manager.region_name, "interface": manager.interface}
        self._filter = {"service_type": "compute", **region}

    def get(self, path, **options):
        return self._send(path, "GET", **options)

    def post(self, path, body):
        return self._send(path, "POST", json=body)

    def server_id(self, name):
        """The id of a server named by id or by name. Raises CommandError."""
        if self.get(f"/servers/{name}", raise_exc=False).status_code == 200:
            return name
        found = [one["id"] for one in self.get("/servers").json()["servers"] if one["name"] == name]
        return _only(found, "server", name)

    def flavor_id(self, name):
        flavors = self.get("/flavors?is_public=None").json()["flavors"]
        return _only([one["id"] for one in flavors if name in (one["id"], one["name"])], "flavor", name)

    def _send(self, path, method, **options):
        headers = {"OpenStack-API-Version": _VERSION, **options.pop("headers", {})}
        return self._session.request(path, method, endpoint_filter=self._filter, headers=headers, **options)


def _only(ids, kind, name):
    if len(ids) != 1:
        raise exceptions.CommandError(f"{'More than one' if ids else 'No'} {kind} is called {name}.")
    return ids[0]

"""Providers below hosts in Placement, which the cloud's own daemons do not make: cards, and links that a Neutron reports."""

import uuid

HEADERS = {"OpenStack-API-Version": "placement 1.39"}


class PartsOfHosts:
    def __init__(self, cloud):
        self._cloud = cloud
        self._client = cloud.client("admin", "service", roles=["admin", "service"])

    def add(self, host, name, inventory, traits=(), provider=None):
        """A provider below a host's, with this inventory (class: total) and traits; its id."""
        provider = provider or str(uuid.uuid4())
        body = {"name": f"{host}:{name}", "uuid": provider, "parent_provider_uuid": self.root(host)}
        self.ask("POST", "/resource_providers", body)
        for resource_class in inventory:
            if resource_class.startswith("CUSTOM_"):
                self.ask("PUT", f"/resource_classes/{resource_class}")
        inventories = {resource_class: {"total": total} for resource_class, total in inventory.items()}
        body = {"inventories": inventories, "resource_provider_generation": 0}
        self.ask("PUT", f"/resource_providers/{provider}/inventories", body)
        for trait in traits:
            self.ask("PUT", f"/traits/{trait}")
        body = {"traits": list(traits), "resource_provider_generation": 1}
        self.ask("PUT", f"/resource_providers/{provider}/traits", body)
        return provider

    def root(self, host):
        """The provider of a host, which has one node of its name."""
        return self.ask("GET", f"/resource_providers?name={host}")["resource_providers"][0]["uuid"]

    def held(self, consumer):
        """{provider: {class: amount}} of a server, but for the hosts themselves."""
        allocations = self.ask("GET", f"/allocations/{consumer}")["allocations"]
        roots = {self.root(host.name) for host in self._cloud.hosts.values()}
        return {provider: one["resources"] for provider, one in allocations.items() if provider not in roots}

    def ask(self, method, path, body=None):
        answer = self._client.request(method, path, body, headers=HEADERS, url="http://placement")
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else {}

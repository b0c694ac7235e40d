"""Builds the named fixtures of a contract directory's placement/fixtures.json for the gabbi runner.

A fixture is a Placement of its own in this process, filled over HTTP, with its environment values set.
"""

import os
import shutil
import tempfile
import types
import uuid
from pathlib import Path
from typing import Any

import httpx
from gabbi.fixture import GabbiFixture

from nova.conf import load
from nova.placement import application, sync_database

# Old enough to make consumers without a type, which is what the data describes.
_VERSION = "1.36"


class Cloud:
    """A WSGI application that hands each request to the Placement that stands at the moment."""

    def __init__(self) -> None:
        self.application: Any = None
        self._template: Path | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="placement-contract-")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self.application(environ, start_response)

    def open(self, config: dict[str, dict[str, Any]], opens_policy: bool) -> None:
        """Start over with an empty database and this configuration."""
        home = Path(self._scratch.name) / uuid.uuid4().hex
        home.mkdir()
        if self._template is None:
            template = Path(self._scratch.name) / "template.sqlite"
            sync_database(_configure(home, template, config, False))
            self._template = template
        database = home / "placement.sqlite"
        shutil.copy(self._template, database)
        self.application = application(_configure(home, database, config, opens_policy))

    def client(self) -> httpx.Client:
        headers = {"x-auth-token": "admin", "openstack-api-version": f"placement {_VERSION}"}
        transport = httpx.WSGITransport(app=self.application)
        return httpx.Client(transport=transport, base_url="http://placement", headers=headers)


def _configure(home: Path, database: Path, config: dict[str, dict[str, Any]], opens_policy: bool) -> Any:
    settings = {group: dict(options) for group, options in config.items()}
    settings["placement_database"] = {"connection": f"sqlite:///{database}"}
    if opens_policy:
        from nova.policies.placement import list_rules

        policy = home / "policy.yaml"
        names = [rule.name for rule in list_rules() if rule.name != "admin_api"]
        policy.write_text("".join(f'"{name}": "@"\n' for name in names))
        settings.setdefault("oslo_policy", {})["policy_file"] = str(policy)
    path = home / f"{database.stem}.conf"
    path.write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())
            for group, options in settings.items()
        )
    )
    return load([], [str(path)])


def make_fixture_module(data: dict[str, Any], cloud: Cloud) -> types.ModuleType:
    """A module with one gabbi fixture class per name in the data."""
    module = types.ModuleType("placement_contract_fixtures")
    for name, description in data["fixtures"].items():
        special = data.get("special", {}).get(name, {})
        members = {"description": description, "special": special, "defaults": data["defaults"], "cloud": cloud}
        setattr(module, name, type(name, (_PlacementFixture,), members))
    return module


class _PlacementFixture(GabbiFixture):
    description: dict[str, Any]
    special: dict[str, Any]
    defaults: dict[str, Any]
    cloud: Cloud

    def start_fixture(self) -> None:
        self.saved = dict(os.environ)
        self.uuids: dict[tuple[str, str], str] = {}
        self._set_environment()
        self.cloud.open(self.description.get("config", {}), "policy" in self.special)
        with self.cloud.client() as client:
            self.http = client
            for name in self.description.get("custom_resource_classes", ()):
                self._send("PUT", f"/resource_classes/{name}")
            for name in self.description.get("custom_traits", ()):
                self._send("PUT", f"/traits/{name}")
            for provider in self.description.get("providers", ()):
                self._create_provider(provider)
            self._create_allocations()
            for provider in self.description.get("providers", ()):
                self._check_generation(provider)

    def stop_fixture(self) -> None:
        os.environ.clear()
        os.environ.update(self.saved)

    def _set_environment(self) -> None:
        for name, value in self.description["environment"].items():
            kind = value["kind"]
            if kind == "literal":
                os.environ[name] = value["value"]
            elif kind == "random_uuid":
                os.environ[name] = str(uuid.uuid4())
            else:
                subject = kind.removesuffix("_uuid")
                os.environ[name] = self._uuid(subject, value[subject])

    def _uuid(self, kind: str, key: str) -> str:
        return self.uuids.setdefault((kind, key), str(uuid.uuid4()))

    def _create_provider(self, provider: dict[str, Any]) -> None:
        name = _expand(provider["name"])
        number = _expand(provider["uuid"])
        if number == "any":
            number = self._uuid("provider", provider["name"])
        self.uuids["provider", provider["name"]] = number
        body = {"name": name, "uuid": number}
        if provider["parent"]:
            body["parent_provider_uuid"] = self.uuids["provider", provider["parent"]]
        self._send("POST", "/resource_providers", body)
        here = f"/resource_providers/{number}"
        for class_name, inventory in provider.get("inventories", {}).items():
            self._send("POST", f"{here}/inventories", {"resource_class": class_name, **inventory})
        if provider.get("traits"):
            generation = self._send("GET", here)["generation"]
            body = {"traits": provider["traits"], "resource_provider_generation": generation}
            self._send("PUT", f"{here}/traits", body)
        if provider.get("aggregates"):
            aggregates = [self._uuid("aggregate", key) for key in provider["aggregates"]]
            self._send("PUT", f"{here}/aggregates", aggregates, version="1.18")

    def _create_allocations(self) -> None:
        owners = {consumer["key"]: consumer for consumer in self.description.get("consumers", ())}
        held: dict[str, dict[str, Any]] = {}
        for allocation in self.description.get("allocations", ()):
            provider = self.uuids["provider", allocation["provider"]]
            held.setdefault(allocation["consumer"], {})[provider] = {"resources": allocation["resources"]}
        for key, allocations in held.items():
            owner = owners[key]
            body = {
                "allocations": allocations,
                "project_id": _expand(owner.get("project") or self.defaults["incomplete_consumer_project_id"]),
                "user_id": _expand(owner.get("user") or self.defaults["incomplete_consumer_user_id"]),
                "consumer_generation": None,
            }
            self._send("PUT", f"/allocations/{self._uuid('consumer', key)}", body)

    def _check_generation(self, provider: dict[str, Any]) -> None:
        number = self.uuids["provider", provider["name"]]
        found = self._send("GET", f"/resource_providers/{number}")["generation"]
        assert found == provider["generation"], f"{provider['name']} is at generation {found}"

    def _send(self, method: str, path: str, body: Any = None, version: str = _VERSION) -> Any:
        headers = {"openstack-api-version": f"placement {version}"}
        answer = self.http.request(method, path, json=body, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def _expand(value: str) -> str:
    return os.environ[value[1:]] if value.startswith("$") else value

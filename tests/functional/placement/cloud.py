"""What functional tests of Placement say: a Placement to talk to, and hosts to furnish it with."""

import io
import json
import uuid
from pathlib import Path
from typing import Any

from oslo_config import cfg

from nova.conf import load
from nova.placement import application

LATEST = "1.39"


def configure(home: Path, url: str, settings: str = "") -> cfg.ConfigOpts:
    path = home / f"{uuid.uuid4().hex}.conf"
    path.write_text(f"[api]\nauth_strategy = noauth2\n[placement_database]\nconnection = {url}\n{settings}")
    return load([], [str(path)])


class Response:
    """What came back."""

    def __init__(self, status: int, headers: dict[str, str], raw: bytes) -> None:
        self.status = status
        self.headers = headers
        self.raw = raw

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["errors"][0]


class Placement:
    """One worker: an application over a database. Others over the same database are its colleagues."""

    def __init__(self, home: Path, url: str, settings: str = "") -> None:
        self.home = home
        self.url = url
        self.application = application(configure(home, url, settings))

    def colleague(self, settings: str = "") -> "Placement":
        """Another worker over the same database."""
        return Placement(self.home, self.url, settings)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        version: str = LATEST,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Response:
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "placement",
            "SERVER_PORT": "80",
            "HTTP_HOST": "placement",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(raw or b""),
            "HTTP_OPENSTACK_API_VERSION": f"placement {version}",
        }
        if raw is not None:
            environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(raw))}
        for name, value in {"X-Auth-Token": "admin", **(headers or {})}.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        answer: list[Any] = []
        raw_answer = b"".join(self.application(environ, lambda status, fields: answer.extend([status, fields])))
        return Response(int(answer[0].split()[0]), {k.lower(): v for k, v in answer[1]}, raw_answer)

    def get(self, path: str, version: str = LATEST) -> Any:
        """The body of an answer that must be a good one."""
        return self._good("GET", path, None, version).json

    def put(self, path: str, body: Any = None, version: str = LATEST) -> Any:
        answer = self._good("PUT", path, body, version)
        return answer.json if answer.raw else None

    def post(self, path: str, body: Any, version: str = LATEST) -> Any:
        answer = self._good("POST", path, body, version)
        return answer.json if answer.raw else None

    def delete(self, path: str, version: str = LATEST) -> None:
        self._good("DELETE", path, None, version)

    def _good(self, method: str, path: str, body: Any, version: str) -> Response:
        answer = self.call(method, path, body, version)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.raw.decode()}"
        return answer

    # -- furniture ---------------------------------------------------------------------------------

    def add_host(
        self,
        name: str,
        parent: str | None = None,
        traits: tuple[str, ...] = (),
        aggregates: tuple[str, ...] = (),
        **inventories: int | dict[str, Any],
    ) -> str:
        """A provider with these inventories (a number is the total); its uuid."""
        number = str(uuid.uuid4())
        body: dict[str, Any] = {"name": name, "uuid": number}
        if parent:
            body["parent_provider_uuid"] = parent
        self.post("/resource_providers", body)
        here, generation = f"/resource_providers/{number}", 0
        if inventories:
            wanted = {c: value if isinstance(value, dict) else {"total": value} for c, value in inventories.items()}
            body = {"inventories": wanted, "resource_provider_generation": generation}
            generation = self.put(f"{here}/inventories", body)["resource_provider_generation"]
        if traits:
            for trait in traits:
                if trait.startswith("CUSTOM_"):
                    self.put(f"/traits/{trait}")
            body = {"traits": list(traits), "resource_provider_generation": generation}
            generation = self.put(f"{here}/traits", body)["resource_provider_generation"]
        if aggregates:
            body = {"aggregates": list(aggregates), "resource_provider_generation": generation}
            self.put(f"{here}/aggregates", body)
        return number

    def claim(
        self, provider: str, consumer: str | None = None, generation: int | None = None, **amounts: int
    ) -> Response:
        """Try to hold these amounts of one provider."""
        return self.claim_all({provider: amounts}, consumer, generation)

    def claim_all(
        self, held: dict[str, dict[str, int]], consumer: str | None = None, generation: int | None = None
    ) -> Response:
        body = {
            "allocations": {provider: {"resources": amounts} for provider, amounts in held.items()},
            "project_id": "project",
            "user_id": "user",
            "consumer_generation": generation,
            "consumer_type": "INSTANCE",
        }
        return self.call("PUT", f"/allocations/{consumer or uuid.uuid4()}", body)

    def usage(self, provider: str) -> dict[str, int]:
        return self.get(f"/resource_providers/{provider}/usages")["usages"]

    def generation(self, provider: str) -> int:
        return self.get(f"/resource_providers/{provider}")["generation"]

    def candidates(self, query: str, version: str = LATEST) -> list[dict[str, Any]]:
        return self.get(f"/allocation_candidates?{query}", version)["allocation_requests"]

    def snapshot(self) -> dict[str, Any]:
        """All that a client can see of providers, to compare before and after."""
        providers = self.get("/resource_providers")["resource_providers"]
        seen = {}
        for provider in sorted(providers, key=lambda p: p["uuid"]):
            here = f"/resource_providers/{provider['uuid']}"
            seen[provider["uuid"]] = [
                {name: value for name, value in provider.items() if name != "links"},
                *(self.get(f"{here}/{kind}") for kind in ("inventories", "aggregates", "usages", "allocations")),
                sorted(self.get(f"{here}/traits")["traits"]),
            ]
        return seen

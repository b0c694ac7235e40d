"""The index that writers keep up equals the one that is read from the database, whatever was written."""

import random
import uuid

from tests.functional.placement.cloud import Placement

CLASSES = ("VCPU", "MEMORY_MB", "DISK_GB", "CUSTOM_GOLD")
TRAITS = ("HW_CPU_X86_AVX", "STORAGE_DISK_SSD", "MISC_SHARES_VIA_AGGREGATE")


class Vandal:
    """Writes anything, allowed or not, through any of the workers."""

    def __init__(self, workers: list[Placement], seed: int) -> None:
        self.random = random.Random(seed)
        self.workers = workers
        self.providers: list[str] = []
        self.consumers = [str(uuid.UUID(int=self.random.getrandbits(128))) for _ in range(8)]
        self.aggregates = [str(uuid.UUID(int=self.random.getrandbits(128))) for _ in range(3)]
        workers[0].put("/resource_classes/CUSTOM_GOLD")

    def write(self) -> int:
        """One write; its status."""
        actions = (self.create, self.move, self.inventory, self.inventory, self.traits, self.group, self.claim)
        action = self.random.choice((*actions, self.claim, self.claim, self.release, self.remove, self.reshape))
        return action(self.random.choice(self.workers))

    def create(self, worker: Placement) -> int:
        number = str(uuid.UUID(int=self.random.getrandbits(128)))
        body = {"name": f"provider-{self.random.randrange(30)}", "uuid": number}
        if self.providers and self.random.random() < 0.5:
            body["parent_provider_uuid"] = self.random.choice(self.providers)
        status = worker.call("POST", "/resource_providers", body).status
        if status == 200:
            self.providers.append(number)
        return status

    def move(self, worker: Placement) -> int:
        parent = self.random.choice([*self.providers, None])
        body = {"name": f"provider-{self.random.randrange(30)}", "parent_provider_uuid": parent}
        return worker.call("PUT", self.anyone(), body).status

    def inventory(self, worker: Placement) -> int:
        here = self.anyone()
        classes = self.random.sample(CLASSES, self.random.randrange(len(CLASSES) + 1))
        body = {
            "inventories": {name: {"total": self.random.randrange(1, 50)} for name in classes},
            "resource_provider_generation": self.generation(worker, here),
        }
        return worker.call("PUT", f"{here}/inventories", body).status

    def traits(self, worker: Placement) -> int:
        here = self.anyone()
        body = {
            "traits": self.random.sample(TRAITS, self.random.randrange(3)),
            "resource_provider_generation": self.generation(worker, here),
        }
        return worker.call("PUT", f"{here}/traits", body).status

    def group(self, worker: Placement) -> int:
        here = self.anyone()
        body = {
            "aggregates": self.random.sample(self.aggregates, self.random.randrange(3)),
            "resource_provider_generation": self.generation(worker, here),
        }
        return worker.call("PUT", f"{here}/aggregates", body).status

    def claim(self, worker: Placement) -> int:
        chosen = self.random.sample(self.providers, min(len(self.providers), 2))
        body = {
            "allocations": {
                uuid: {"resources": {self.random.choice(CLASSES): self.random.randrange(1, 9)}} for uuid in chosen
            },
            "project_id": "p",
            "user_id": "u",
        }
        return worker.call("PUT", f"/allocations/{self.random.choice(self.consumers)}", body, "1.12").status

    def release(self, worker: Placement) -> int:
        return worker.call("DELETE", f"/allocations/{self.random.choice(self.consumers)}").status

    def remove(self, worker: Placement) -> int:
        return worker.call("DELETE", self.anyone()).status

    def reshape(self, worker: Placement) -> int:
        here = self.anyone()
        provider = here.rpartition("/")[2]
        inventories = {name: {"total": self.random.randrange(10, 60)} for name in self.random.sample(CLASSES, 2)}
        body = {
            "inventories": {
                provider: {"resource_provider_generation": self.generation(worker, here), "inventories": inventories}
            },
            "allocations": {},
        }
        return worker.call("POST", "/reshaper", body, headers={"X-Roles": "admin,service"}).status

    def anyone(self) -> str:
        return f"/resource_providers/{self.random.choice(self.providers or [str(uuid.uuid4())])}"

    def generation(self, worker: Placement, here: str) -> int:
        answer = worker.call("GET", here)
        return answer.json["generation"] if answer.status == 200 else 0


def test_workers_agree_with_the_database_after_any_writes(anywhere: Placement) -> None:
    vandal = Vandal([anywhere, anywhere.colleague()], seed=7)

    statuses = [vandal.write() for _ in range(250)]

    assert not [status for status in statuses if status >= 500]
    assert sum(status < 300 for status in statuses) > 60
    as_stored = anywhere.colleague()
    for worker in vandal.workers:
        assert worker.snapshot() == as_stored.snapshot()
        for query in ("resources=VCPU:1", "resources=VCPU:1,DISK_GB:2&required=!STORAGE_DISK_SSD"):
            assert _comparable(worker.candidates(query)) == _comparable(as_stored.candidates(query))


def _comparable(candidates: list) -> list[str]:
    return sorted(str(sorted(candidate["allocations"].items())) for candidate in candidates)

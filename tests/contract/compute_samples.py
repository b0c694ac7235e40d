"""Reads the contract's request and response samples, and finds out which operation each belongs to.

A sample's operation is the one the contract names for it, or names for a sample of the same area and name at
another version; else the one whose answers or requests have its shape, the name deciding between several. So
another directory of the same shape is read without a word about its files.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compute_declared import Key, Tables, holds, key_of, minor
from compute_shapes import Fields, misfits

_REQUEST = re.compile(r"[-_]req(uest)?([-_]|$)")
_RESPONSE = re.compile(r"[-_]res(p|ponse)?([-_]|$)")
_DIRECTION = re.compile(r"[-_](req|request|res|resp|response)(?=[-_]|$)")
# Words that say the same of an operation.
_SAME = {
    "index": "list",
    "show": "get",
    "details": "detail",
    "specific": "get",
    "post": "create",
    "put": "update",
    "add": "create",
    "destroy": "delete",
    "defaults": "default",
    "import": "create",
}


@dataclass(frozen=True)
class Sample:
    """One file: its area, its microversion, and what is in it."""

    path: str
    area: str
    version: int
    content: Any

    @property
    def name(self) -> str:
        return Path(self.path).stem

    @property
    def stem(self) -> tuple[str, ...]:
        """The name's words without the direction: alike for a request and its response."""
        return tuple(_singular(word) for word in re.split(r"[-_]", _DIRECTION.sub("", self.name)))

    @property
    def words(self) -> set[str]:
        """The stem's words in the words of operations."""
        named = re.split(r"[-_]", self.name)
        found = {_SAME.get(word, word) for word in self.stem} | {_SAME[word] for word in named if word in _SAME}
        # Updates are posted too.
        return found - {"create"} if "update" in found else found


@dataclass
class Case:
    """A request to make and the answer it is to have; either may be unknown."""

    key: Key
    version: int
    request: Sample | None = None
    response: Sample | None = None
    is_gone: bool = False

    @property
    def name(self) -> str:
        found = " ".join(one.path for one in (self.request, self.response) if one is not None)
        return f"{' '.join(filter(None, self.key))} 2.{self.version}: {found}"

    @property
    def raw_words(self) -> set[str]:
        """The words of its samples' names."""
        named = [one for one in (self.request, self.response) if one is not None]
        return {word for one in named for word in re.split(r"[-_]", one.name)}


@dataclass
class Unmatched:
    """A sample for which no operation was found."""

    sample: Sample


@dataclass
class Reader:
    """The contract's samples as cases."""

    contract: Path
    tables: Tables = field(init=False)

    def __post_init__(self) -> None:
        self.tables = Tables(self.contract)
        index = json.loads((self.contract / "compute" / "samples_index.json").read_text())
        self._removed = {one["area"] for one in index.get("removed", ()) if not one.get("partial")}
        self._groups = index["groups"]
        self._rows: dict[Key, list[dict[str, Any]]] = defaultdict(list)
        self._exact: dict[tuple[bool, str], list[Key]] = defaultdict(list)
        self._alike: dict[tuple[bool, str, str], list[Key]] = defaultdict(list)
        for row in self.tables.operations:
            key = key_of(row["method"], row["path"], row.get("action"))
            self._rows[key].append(row)
            for is_request, paths in ((True, row["request_samples"]), (False, row["response_samples"])):
                for path in paths:
                    self._exact[is_request, path].append(key)
                    self._alike[is_request, path.split("/")[0], Path(path).stem].append(key)
        self._actions = {key[2] for key in self._rows if key[2]}
        self._requests: dict[Key, list[Sample]] | None = None
        self._by_table: dict[tuple[Key, str, int], Fields] = {}

    def cases(self) -> Iterator[Case | Unmatched]:
        for group in self._groups:
            version = minor(group["microversion"], 1)
            samples = [
                Sample(path, group["area"], _version_in(path) or version, self._read(path))
                for path in group["files"]
                if (self.contract / "compute" / "samples" / path).is_file()
            ]
            yield from self._cases_of(samples)

    def _read(self, path: str) -> Any:
        return json.loads((self.contract / "compute" / "samples" / path).read_text())

    def _cases_of(self, samples: list[Sample]) -> Iterator[Case | Unmatched]:
        requests = [one for one in samples if self._is_request(one)]
        asked: dict[Key, list[Sample]] = defaultdict(list)
        for sample in requests:
            found = self._operations(sample, True)
            if not found:
                yield Unmatched(sample)
            for key in found:
                asked[key].append(sample)
        answered: dict[Key, list[Sample]] = defaultdict(list)
        for sample in (one for one in samples if one not in requests):
            partner = [key for key, found in asked.items() for one in found if one.stem == sample.stem]
            found = list(dict.fromkeys(partner)) or self._operations(sample, False)
            if not found:
                yield Unmatched(sample)
            for key in found:
                answered[key].append(sample)
        for key in dict.fromkeys([*asked, *answered]):
            yield from self._paired(key, asked[key], answered[key])

    def _paired(self, key: Key, requests: list[Sample], responses: list[Sample]) -> Iterator[Case]:
        """Each request with the response whose name is nearest, then the responses left over."""
        is_gone = any(row.get("always_410") for row in self._rows[key])
        used = set()
        for request in requests:
            response = _nearest(request, responses)
            if response is not None:
                used.add(response.path)
            yield Case(key, request.version, request, response, is_gone)
        for response in responses:
            if response.path not in used:
                request = _nearest(response, requests)
                yield Case(key, response.version, request, response, is_gone)

    def _is_request(self, sample: Sample) -> bool:
        if _REQUEST.search(sample.name):
            return True
        if _RESPONSE.search(sample.name):
            return False
        if self._alike.get((True, sample.area, sample.name)):
            return True
        content = sample.content
        return isinstance(content, dict) and len(content) == 1 and next(iter(content)) in self._actions

    def _operations(self, sample: Sample, is_request: bool) -> list[Key]:
        """The operations a sample belongs to; several when the contract names several."""
        for listed in (
            self._exact[is_request, sample.path],
            self._alike[is_request, sample.area, sample.name],
        ):
            found = [key for key in dict.fromkeys(listed) if self._is_there(key, sample.version)]
            if found:
                return found
        if sample.area in self._removed:
            # Every call of it is gone: any of them will do.
            return [
                key
                for key, rows in self._rows.items()
                if rows[0].get("always_410") and (sample.area in key[1].split("/") or key[2] in sample.content)
            ]
        return self._by_shape(sample, is_request)

    def _is_there(self, key: Key, version: int) -> bool:
        return any(row.get("always_410") or holds(row, version) for row in self._rows[key])

    def _by_shape(self, sample: Sample, is_request: bool) -> list[Key]:
        keys = [key for key in self._rows if self._is_there(key, sample.version)]
        if is_request and isinstance(sample.content, dict) and len(sample.content) == 1:
            root = next(iter(sample.content))
            named = [key for key in keys if key[2] == root]
            if named:
                return named[:1]
        if is_request:
            keys = [key for key in keys if key[0] in ("POST", "PUT") and key[2] is None]
        part = "request" if is_request else "response"
        fitting = []
        for key in keys:
            table = self._table(key, part, sample.version)
            if not isinstance(sample.content, dict) or not table.has_roots(sample.content):
                continue
            # A sample is read, rather than written, when nothing says otherwise.
            is_written = not is_request and key[0] != "GET" and not sample.words & {"create", "update"}
            distance = len(list(misfits(sample.content, table)))
            fitting.append((table.is_map("$"), is_written, distance, -self._likeness(sample, key), str(key), key))
        return [min(fitting)[-1]] if fitting else []

    def _table(self, key: Key, part: str, version: int) -> Fields:
        place = (key, part, version)
        if place not in self._by_table:
            # The table calls the root of a version what the operations call the root of all.
            root = {("GET", "/", None): None, ("GET", "/{}", None): ("GET", "/", None)}
            row = self.tables.fields.get(root.get(key, key)) or self.tables.fields.get(_with_blank_end(key)) or {}
            self._by_table[place] = Fields(row.get(part) or (), version)
        return self._by_table[place]

    def response_table(self, key: Key, version: int) -> Fields:
        return self._table(key, "response", version)

    def answering(self) -> dict[Key, list[int]]:
        """The versions at which the table of each operation's answer changes, for those that have one."""
        found: dict[Key, list[int]] = {}
        for key, rows in self._rows.items():
            table = self.tables.fields.get(key)
            if table is None or not table.get("response") or all(row.get("always_410") for row in rows):
                continue
            marks = {minor(row.get("min_version"), 1) for row in (*rows, *table["response"])}
            found[key] = [one for one in sorted(marks) if self._is_there(key, one)]
        return found

    def requests_of(self, key: Key) -> list[Sample]:
        """The request samples of an operation, the newest first."""
        if self._requests is None:
            self._requests = defaultdict(list)
            for case in self.cases():
                if isinstance(case, Case) and case.request is not None:
                    self._requests[case.key].append(case.request)
        return sorted(self._requests[key], key=lambda one: -one.version)

    def refuses(self, case: Case) -> bool:
        """Whether a request does not pass its own version's checks, as a few samples do not."""
        return case.request is not None and any(
            misfits(case.request.content, self._table(case.key, "request", case.version))
        )

    def success_codes(self, case: Case) -> set[int]:
        """What the operation may answer with; of codes that changed, those of the version."""
        held = [row for row in self._rows[case.key] if holds(row, case.version)]
        entries = [one for row in held for one in row.get("handler_codes") or () if "code" in one]
        codes = {one["code"] for one in entries if holds(one, case.version)}
        gone = {one["code"] for one in entries} - codes
        return codes | {code for row in held for code in row["normal_codes"]} - gone

    def query_names(self, key: Key, version: int) -> set[str]:
        """The query parameters the operation has at a version."""
        return {path.removesuffix("[]") for path in self._table(key, "query", version).known if path != "$"}

    def _likeness(self, sample: Sample, key: Key) -> int:
        row = self._rows[key][0]
        words = re.split(r"[^a-z]+", f"{row['id']} {row['path']} {row['method']}".lower())
        area = {_singular(word) for word in re.split(r"[^a-z]+", sample.area)}
        known = {_SAME.get(_singular(word), _singular(word)) for word in words if word}
        return 2 * len(sample.words & known) + len(area & known)


def _with_blank_end(key: Key) -> Key:
    """An operation whose path ends in a fixed word, where the tables have the word as a parameter."""
    return key[0], key[1].rpartition("/")[0] + "/{}", key[2]


def _version_in(path: str) -> int | None:
    """The minor version a file's own name ends in, beside its group's."""
    found = re.search(r"-v2(\d{2,3})$", Path(path).stem)
    return int(found[1]) if found else None


def _nearest(one: Sample, others: Iterable[Sample]) -> Sample | None:
    ranked = sorted(others, key=lambda other: -len(set(one.stem) & set(other.stem)) + len(set(other.stem)) / 100)
    return ranked[0] if ranked else None


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word

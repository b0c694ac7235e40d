"""The page of the Compute API's operations: its OpenAPI document at the newest version, for people."""

import json
from collections import defaultdict
from typing import Any

from reference_text import cell, code, table

from nova.api.compute import MODULES, versions
from nova.api.compute.openapi_document import document
from nova.http.declaration import collect

_METHODS = ("get", "post", "put", "delete")


def api() -> str:
    """Every operation with its parameters, examples and codes; the removed ones in a list at the end."""
    made = json.loads(json.dumps(document(tuple(collect(*MODULES)), versions.MAXIMUM, "")))
    by_tag: dict[str, list[str]] = defaultdict(list)
    removed = []
    for path, item in made["paths"].items():
        for method in _METHODS:
            if (one := item.get(method)) is None:
                continue
            if one.get("deprecated"):
                removed.append(f"* {code(f'{method.upper()} {path}')}")
            else:
                by_tag[one["tags"][0]].append(_operation(f"{method.upper()} {path}", one, made["components"]))
    parts = [
        "# Operations of the Compute API",
        f"As of microversion {versions.text(versions.MAXIMUM)}. Paths are below `/v2.1`. Every request carries "
        "`X-Auth-Token` and, for a version above 2.1, `OpenStack-API-Version`. `GET /v2.1/openapi.json` gives the same "
        "to programs, for any version and without a token.",
    ]
    for tag, operations in by_tag.items():
        parts += [f"## {tag}", *operations]
    return "\n\n".join([*parts, "## Removed", "These answer 410 at every version.", "\n".join(removed)])


def _operation(title: str, one: dict[str, Any], components: dict[str, Any]) -> str:
    parts = [f"### {title}", one["description"]]
    parameters = [parameter for parameter in one["parameters"] if "$ref" not in parameter]
    if parameters:
        rows = [(code(each["name"]), each["in"], _kind(each["schema"])) for each in parameters]
        parts.append(table(("Parameter", "In", "Type"), rows))
    if "requestBody" in one:
        parts += _examples("Request", one["requestBody"]["content"])
    codes = []
    for status, answer in one["responses"].items():
        name = answer.get("$ref", "").rpartition("/")[2]
        described = components["responses"][name] if name else answer
        codes.append((status, cell(described["description"])))
        if not name:
            parts += _examples(f"Answer {status}", answer.get("content", {}))
    return "\n\n".join([*parts, table(("Status", "Meaning"), codes)])


def _kind(schema: dict[str, Any]) -> str:
    kinds = schema.get("type", "string")
    kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if "enum" in schema:
        return f"{kind}: {', '.join(code(word) for word in schema['enum'])}"
    return f"{_kind(schema['items'])}, may repeat" if kind == "array" else kind


def _examples(title: str, content: dict[str, Any]) -> list[str]:
    """Each example as a block; a stream's is one already."""
    blocks = []
    for media_type, described in content.items():
        examples = described.get("examples") or {"": {"value": described["example"]}}
        for name, example in examples.items():
            value = example["value"]
            text = value if media_type != "application/json" else json.dumps(value, indent=2, ensure_ascii=False)
            suffix = f" ({code(name)})" if len(examples) > 1 else ""
            blocks.append(f"{title}{suffix}:\n\n```{'json' if media_type.endswith('json') else 'text'}\n{text}\n```")
    return blocks

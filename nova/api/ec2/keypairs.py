"""Key pairs of the caller. Source: EC2 API reference, "Key pairs"."""

import re
from typing import Any

from nova import errors as domain
from nova.api.compute import keys
from nova.api.ec2 import errors
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Listing, action
from nova.api.ec2.ids import NOUNS, written
from nova.api.ec2.listing import path
from nova.structs.keypair import Keypair

Item = dict[str, Any]

_RULE = "os_compute_api:os-keypairs:"
_NAME = re.compile(r"[-_@. a-zA-Z0-9]{1,255}")
_FULL = {domain.QuotaExceeded: "KeyPairLimitExceeded", domain.Invalid: "InvalidKey.Format"}


@action(
    "CreateKeyPair", policy=f"{_RULE}create", takes=("KeyName", "TagSpecifications"),
    holds={"KeyType": ("ed25519",), "KeyFormat": ("pem",)}, codes=_FULL,
)  # fmt: skip
def create(call: Call) -> Item:
    """A new Ed25519 pair; the answer is the only place where its private half is."""
    return _add(call, keys.generate("ssh", call.context.user_id), is_imported=False)


@action(
    "ImportKeyPair", policy=f"{_RULE}create", takes=("KeyName", "PublicKeyMaterial", "TagSpecifications"), codes=_FULL
)
def import_(call: Call) -> Item:
    """An OpenSSH public key of the caller's own."""
    try:
        public = call.given["PublicKeyMaterial"].decode()
    except UnicodeDecodeError as error:
        raise errors.BadRequest("The key is no text.", "InvalidKey.Format") from error
    return _add(call, keys.describe("ssh", public), is_imported=True)


def _add(call: Call, key: keys.KeyMaterial, is_imported: bool) -> Item:
    name = call.given["KeyName"]
    if not _NAME.fullmatch(name) or name != name.strip():
        raise errors.bad_value("KeyName", name)
    tags = call.wanted_tags("key-pair")
    pair = Keypair(
        user_id=call.context.user_id, name=name, type="ssh", public_key=key.public, fingerprint=key.fingerprint
    )
    stored = call.conductor.add_keypair(call.context, pair, is_imported=is_imported)
    item = {"KeyName": name, "KeyFingerprint": key.fingerprint, "KeyPairId": written("key", stored.id)}
    item["Tags"] = call.tag(item["KeyPairId"], tags)
    return item if key.private is None else item | {"KeyMaterial": key.private}


@action("DeleteKeyPair", policy=f"{_RULE}delete", takes=("KeyName", "KeyPairId"))
def delete(call: Call) -> Item:
    """One that is not there is deleted already."""
    name, ec2_id = call.given.get("KeyName"), call.given.get("KeyPairId")
    if (name is None) == (ec2_id is None):
        raise errors.missing_parameter("KeyName")
    for pair in call.conductor.keypairs(call.context.user_id):
        if name == pair.name or ec2_id == written("key", pair.id):
            call.conductor.delete_keypair(call.context, call.context.user_id, pair.name)
            return {"Return": True, "KeyPairId": written("key", pair.id)}
    return {"Return": True}


@action(
    "DescribeKeyPairs",
    policy=f"{_RULE}index",
    takes=("KeyNames", "KeyPairIds", "IncludePublicKey"),
    lists=Listing(
        "KeyPairs",
        "KeyName",
        filters={
            "key-name": path("KeyName"),
            "key-pair-id": path("KeyPairId"),
            "fingerprint": path("KeyFingerprint"),
        },
    ),
)
def describe(call: Call) -> list[Item]:
    """The caller's key pairs, by name."""
    tags = call.tags()
    items = [_item(call, pair, tags) for pair in call.conductor.keypairs(call.context.user_id)]
    for parameter, member in (("KeyNames", "KeyName"), ("KeyPairIds", "KeyPairId")):
        wanted = call.given.get(parameter)
        for value in wanted or ():
            if all(item[member] != value for item in items):
                raise errors.BadRequest(f"The key pair '{value[:100]}' does not exist", f"{NOUNS['key']}.NotFound")
        items = [item for item in items if not wanted or item[member] in wanted]
    return items


def _item(call: Call, pair: Keypair, tags: dict[str, list[dict[str, str]]]) -> Item:
    ec2_id = written("key", pair.id)
    item: Item = {"KeyName": pair.name, "KeyPairId": ec2_id, "KeyFingerprint": pair.fingerprint}
    item |= {"Tags": tags.get(ec2_id, []), "CreateTime": pair.created_at}
    return item | {"PublicKey": pair.public_key} if call.given.get("IncludePublicKey") else item

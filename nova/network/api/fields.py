"""The attributes of the Networking API's nouns: what each may hold, and who may set it when.

A parser takes what the client sent and gives what the record keeps; it raises ValueError with the
reason. Everything is checked before anything is touched.
"""

import ipaddress
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from nova.errors import Invalid, PolicyDenied
from nova.http import words
from nova.structs.networking import AddressPair, AllocationPool, FixedIp, HostRoute

Parser = Callable[[Any], Any]
REQUIRED: Any = object()


class Field(msgspec.Struct, frozen=True):
    """One attribute. record_name: what the record calls it. rule: the policy for setting it at all."""

    name: str
    parse: Parser
    default: Any = REQUIRED
    post: bool = True
    put: bool = True
    record_name: str = ""
    rule: str = ""

    @property
    def key(self) -> str:
        return self.record_name or self.name


def parse(
    fields: Iterable[Field], body: dict[str, Any], is_update: bool, allows: Callable[[str], bool]
) -> dict[str, Any]:
    """The body's values by the record's names; in a creation, with defaults for the rest.

    Raises Invalid for an unknown, missing or bad attribute, PolicyDenied.
    """
    known = {field.name: field for field in fields}
    unknown = [name for name in body if name not in known]
    if unknown:
        raise Invalid(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    values: dict[str, Any] = {}
    for field in known.values():
        if field.name not in body:
            if not is_update and field.post:
                if field.default is REQUIRED:
                    raise Invalid(f"Failed to parse request. Required attribute '{field.name}' not specified")
                values[field.key] = field.default
            continue
        if not (field.put if is_update else field.post):
            raise Invalid(f"Attribute '{field.name}' is read-only here.")
        value = _parse_one(field, body[field.name])
        if field.rule and not allows(field.rule) and (is_update or value != field.default):
            raise PolicyDenied(action=field.rule)
        values[field.key] = value
    return values


def _parse_one(field: Field, value: Any) -> Any:
    try:
        return field.parse(value)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise Invalid(f"Invalid input for {field.name}. Reason: {error}.", field=field.name) from None


def text(limit: int = 255) -> Parser:
    """limit is in characters."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"'{value}' is not a valid string")
        if len(value) > limit:
            raise ValueError(f"'{value[:40]}...' exceeds maximum length of {limit}")
        if "\0" in value:
            raise ValueError("a text holds no NUL character")
        return value

    return check


def optional(check: Parser) -> Parser:
    """None stays None; anything else is checked."""
    return lambda value: None if value is None else check(value)


def or_empty(check: Parser) -> Parser:
    """null and the empty string both mean none."""
    return lambda value: "" if value in (None, "") else check(value)


def boolean(value: Any) -> bool:
    """Takes true and false, 0 and 1, and the same as words in any case."""
    if isinstance(value, str) and value.lower() in ("true", "1"):
        return True
    if isinstance(value, str) and value.lower() in ("false", "0"):
        return False
    if value in (0, 1):
        return bool(value)
    raise ValueError(f"'{value}' cannot be converted to boolean")


def integer(low: int, high: int) -> Parser:
    """From low to high, both included; numbers in strings count, booleans do not."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"'{value}' is not an integer")
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"'{value}' is not between {low} and {high}")
        return number

    return check


def one_of(*choices: Any) -> Parser:
    def check(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"'{value}' is not in {list(choices)}")
        return value

    return check


def uuid_text(value: Any) -> str:
    """In its usual form, whichever one the client has used."""
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"'{value}' is not a valid UUID") from None


def list_of(check: Parser, unique: bool = True, limit: int = 1000) -> Parser:
    """None is an empty list. unique: no item twice, after each was checked."""

    def check_all(value: Any) -> tuple[Any, ...]:
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise ValueError(f"'{value}' is not a list")
        if len(value) > limit:
            raise ValueError(f"more than {limit} items")
        items = tuple(check(item) for item in value)
        if unique and any(item in items[:index] for index, item in enumerate(items)):
            raise ValueError(f"Duplicate items in the list: {value}")
        return items

    return check_all


def set_of(check: Parser, limit: int = 1000) -> Parser:
    """A list in which naming something twice is naming it once."""
    check_all = list_of(check, unique=False, limit=limit)
    return lambda value: tuple(dict.fromkeys(check_all(value)))


def mapping(value: Any) -> dict[str, Any]:
    """None is an empty one. At most 4095 bytes of JSON."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"'{value}' is not a dictionary")
    if len(msgspec.json.encode(value)) > 4095:
        raise ValueError("the dictionary is larger than 4095 bytes")
    return value


def ip_address(value: Any) -> str:
    """In its shortest form; one with a scope (%eth0) is refused."""
    if not isinstance(value, str):
        raise ValueError(f"'{value}' is not a valid IP address")
    _refuse_scope(value)
    return str(ipaddress.ip_address(value))


def cidr(value: Any) -> str:
    """A range of addresses; bits beyond the prefix are dropped."""
    if not isinstance(value, str) or "/" not in value:
        raise ValueError(f"'{value}' is not a valid IP subnet")
    _refuse_scope(value)
    return str(ipaddress.ip_network(value, strict=False))


def prefix(value: Any) -> str:
    """A range, or one address as a range."""
    if not isinstance(value, str):
        raise ValueError(f"'{value}' is not a valid CIDR")
    _refuse_scope(value)
    return str(ipaddress.ip_network(value, strict=False))


def _refuse_scope(value: str) -> None:
    """What follows a % in an IPv6 address may be any text, and addresses end up in nftables' rules."""
    if "%" in value:
        raise ValueError(f"'{value}' has a scope")


def mac_address(value: Any) -> str:
    """Lower case with colons; addresses of groups are refused."""
    text = str(value).lower().replace("-", ":")
    if not words.is_unicast_mac(text):
        raise ValueError(f"'{value}' is not a valid MAC address")
    return text


def dns_name(value: Any) -> str:
    """None is "", which is no name."""
    if value in (None, ""):
        return ""
    if not isinstance(value, str) or not words.is_dns_name(value):
        raise ValueError(f"'{value}' not a valid PQDN or FQDN")
    return value


def allocation_pool(value: Any) -> AllocationPool:
    """Both ends belong to it, and are of one IP version."""
    _only_keys(value, ("start", "end"), required=("start", "end"))
    start, end = (ipaddress.ip_address(ip_address(value[part])) for part in ("start", "end"))
    if start.version != end.version or int(start) > int(end):
        raise ValueError(f"The allocation pool {start}-{end} is not valid")
    return AllocationPool(str(start), str(end))


def host_route(value: Any) -> HostRoute:
    _only_keys(value, ("destination", "nexthop"), required=("destination", "nexthop"))
    return HostRoute(cidr(value["destination"]), ip_address(value["nexthop"]))


def fixed_ip(value: Any) -> FixedIp:
    """What the client leaves to be chosen, the subnet or the address, is empty."""
    _only_keys(value, ("subnet_id", "ip_address"))
    if not value.get("subnet_id") and not value.get("ip_address"):
        raise ValueError("a fixed IP names a subnet_id, an ip_address or both")
    return FixedIp(
        uuid_text(value["subnet_id"]) if value.get("subnet_id") else "",
        ip_address(value["ip_address"]) if value.get("ip_address") else "",
    )


def address_pair(value: Any) -> AddressPair:
    """A network in the place of the address stands for all in it; without a MAC address it is the port's."""
    _only_keys(value, ("ip_address", "mac_address"), required=("ip_address",))
    address = value["ip_address"]
    address = cidr(address) if "/" in str(address) else ip_address(address)
    return AddressPair(address, mac_address(value["mac_address"]) if value.get("mac_address") else None)


def dhcp_option(value: Any) -> dict[str, Any]:
    """An option whose value is None is kept, and not told to guests."""
    _only_keys(value, ("opt_name", "opt_value", "ip_version"), required=("opt_name", "opt_value"))
    name, content = str(value["opt_name"]), value["opt_value"]
    # These end up in a DHCP server's file, one to a line.
    if not words.is_dhcp_option(name) or not words.is_one_line(str(content)):
        raise ValueError(f"'{name}' is not a DHCP option")
    return {
        "opt_name": name,
        "opt_value": None if content is None else text()(str(content)),
        "ip_version": integer(4, 6)(value.get("ip_version", 4)),
    }


def _only_keys(value: Any, allowed: Sequence[str], required: Sequence[str] = ()) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"'{value}' is not a dictionary")
    unknown = [key for key in value if key not in allowed]
    if unknown:
        raise ValueError(f"unexpected keys {unknown}")
    missing = [key for key in required if key not in value]
    if missing:
        raise ValueError(f"missing keys {missing}")


NAME = Field("name", text(), default="")
DESCRIPTION = Field("description", text(), default="")
PROJECT = Field("project_id", text(), default=None, put=False)
ADMIN_STATE_UP = Field("admin_state_up", boolean, default=True)
COMMON = (NAME, DESCRIPTION, PROJECT)

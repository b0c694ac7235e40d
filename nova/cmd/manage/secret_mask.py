"""Removes secrets from what operators hand to others: values of secret options, passwords in URLs, tokens.

It removes too much rather than too little: what an unknown option holds is not shown either.
"""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit
from xml.sax.saxutils import escape

from oslo_utils import strutils

from nova.conf import known
from nova.conf.files import Setting

HIDDEN = "***"
# Of options that say nothing of it themselves, such as those that this release does not know.
_SECRET_NAME = re.compile(r"pas+w|_pass$|passphrase|secret|token$|credential", re.IGNORECASE)
# Of one host, and of those that follow it in a list, as in transport_url.
_USER_INFO = re.compile(r"(?<=://)[^\s,]*@|(?<=,)[^\s,:@/]+:[^\s,@]*@")
_TOKENS = re.compile(r"gAAAA[\w-]{16,}=*|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
_HEADERS = re.compile(
    r"""((?:x-(?:auth|subject|service)-token|(?:proxy-)?authorization)["']?\s*[:=]\s*["']?)"""
    r"""(?:(?:basic|bearer)\s+)?[^\s"',]+""",
    re.IGNORECASE,
)
# Of consoles, also where one address stands in another; and the passwords of guests.
_IN_ADDRESSES = re.compile(r"""(token(?:=|%3D)|admin_?pass["']?\s*[:=]\s*["']?)[^\s"',&%]+""", re.IGNORECASE)
_KEYS = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL)
# A shorter one is looked for as a word: as a part of others it would hide everything.
_SHORT = 6


class Mask:
    """Hides secrets, as they are and as URLs, JSON and XML hold them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if form.strip()}
        patterns = (_pattern(form) for form in sorted(forms, key=lambda form: (-len(form), form)))
        self._secrets = re.compile("|".join(patterns) or r"(?!)")

    def text(self, text: str) -> str:
        """The text without secrets that are known, and without what looks like one."""
        text = self._secrets.sub(HIDDEN, text)
        text = _USER_INFO.sub(f"{HIDDEN}@", text)
        text = _TOKENS.sub(HIDDEN, text)
        for pattern in (_HEADERS, _IN_ADDRESSES, _KEYS):
            text = pattern.sub(rf"\1{HIDDEN}", text)
        # What it looks for stands in one line.
        return "".join(strutils.mask_password(line, HIDDEN) for line in text.splitlines(keepends=True))


def secrets_of(settings: Iterable[Setting], options: known.Index) -> Iterator[str]:
    """The secrets that files hold: values of secret options, and the passwords in all URLs."""
    for setting in settings:
        if _is_secret(setting, options):
            yield setting.value
            # Each of a list.
            yield from setting.value.split(",")
        for match in _USER_INFO.findall(setting.value):
            password = match.removesuffix("@").partition(":")[2]
            yield from (password, unquote(password))
        yield from _whole_password(setting.value)


def _whole_password(url: str) -> Iterator[str]:
    """Of a URL, whatever characters its password has."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield from (password, unquote(password))


def shown(setting: Setting, options: known.Index, mask: Mask) -> str:
    """The value of an option, where it is one that may be shown."""
    if setting.option not in options.get(setting.group, {}) or _is_secret(setting, options):
        return HIDDEN
    return mask.text(setting.value)


def _is_secret(setting: Setting, options: known.Index) -> bool:
    option = options.get(setting.group, {}).get(setting.option)
    return bool(option is not None and option.secret) or bool(_SECRET_NAME.search(setting.option))


def _forms(secret: str) -> set[str]:
    return {
        secret,
        secret.strip(),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        escape(secret),
        escape(secret, {'"': "&quot;", "'": "&apos;"}),
    }


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _SHORT else rf"(?<!\w){escaped}(?!\w)"

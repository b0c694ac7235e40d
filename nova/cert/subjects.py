"""Subjects of certificates. A template is taken apart before users' words are put in: none can add an attribute."""

from cryptography import x509
from cryptography.x509.oid import NameOID

from nova.conf import BadConfiguration

_ATTRIBUTES = {
    "C": NameOID.COUNTRY_NAME,
    "CN": NameOID.COMMON_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}
# Of a common name. Source: RFC 5280, appendix A.
_LONGEST = 64


def subject(option: str, template: str, *words: str) -> x509.Name:
    """The name that an option's template /TYPE=VALUE/... gives; words are its values' in order.

    Raises BadConfiguration.
    """
    attributes, left = [], list(words)
    try:
        for part in template.removeprefix("/").split("/"):
            kind, _, value = part.partition("=")
            count = value.replace("%%", "").count("%")
            taken, left = left[:count], left[count:]
            attributes.append(x509.NameAttribute(_ATTRIBUTES[kind], (value % tuple(taken))[:_LONGEST]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadConfiguration(f"[crypto] {option} = {template} is no subject: {error}") from error
    if left:
        raise BadConfiguration(f"[crypto] {option} = {template} takes {len(words)} values")
    return x509.Name(attributes)

"""Options of upstream's that promise what this release does not give: no daemon starts with one of them set.

Any other option that has no meaning here is read over. Source: the Compute configuration reference.
"""

_OFF = ("", "false", "no", "off", "0", "none")

_NOT_BUILT = {
    ("DEFAULT", "dhcpbridge_flagfile"): "nova-dhcpbridge reads no configuration; it asks the nova-network of its host",
    ("ephemeral_storage_encryption", "enabled"): "disks are not encrypted",
    ("glance", "default_trusted_certificate_ids"): "certificates of image signatures are not checked",
    ("glance", "enable_certificate_validation"): "certificates of image signatures are not checked",
    ("glance", "verify_glance_signatures"): "signatures of images are not checked",
    ("libvirt", "live_migration_tunnelled"): "live migrations are not tunnelled through libvirtd",
    ("libvirt", "live_migration_with_native_tls"): "QEMU's side of live migrations speaks no TLS",
    ("libvirt", "num_memory_encrypted_guests"): "guests' memory is not encrypted",
    ("libvirt", "swtpm_enabled"): "guests have no TPM",
    ("libvirt", "volume_enforce_multipath"): "volumes with a single path are not refused",
    ("vmware", "pbm_enabled"): "storage policies do not choose datastores",
    ("vnc", "auth_schemes"): "the way from the proxy to the guest's screen is neither authenticated nor encrypted",
    ("vnc", "vencrypt_ca_certs"): "the way from the proxy to the guest's screen is not encrypted",
    ("vnc", "vencrypt_client_cert"): "the way from the proxy to the guest's screen is not encrypted",
    ("vnc", "vencrypt_client_key"): "the way from the proxy to the guest's screen is not encrypted",
    ("spice", "require_secure"): "the way to the guest's SPICE screen is not encrypted",
}

# Of these it is the other way round: off is what is not built.
_ALWAYS_ON = {
    ("DEFAULT", "force_dhcp_release"): "an address goes back with its port, and is not held until its lease ends",
}


def reason(group: str, option: str, value: str | None) -> str | None:
    """Why no daemon may start with this; None for what would change nothing, and for an option that is not one of these."""
    is_off = (value or "").strip().lower() in _OFF
    return (_ALWAYS_ON if is_off else _NOT_BUILT).get((group, option))

"""Options of upstream's that promise safety which this release does not give: no daemon starts with one of them set.

Any other option that has no meaning here is read over. Source: the Compute configuration reference.
"""

_OFF = ("", "false", "no", "off", "0", "none")

_NOT_BUILT = {
    ("ephemeral_storage_encryption", "enabled"): "disks are not encrypted",
    ("glance", "default_trusted_certificate_ids"): "certificates of image signatures are not checked",
    ("glance", "enable_certificate_validation"): "certificates of image signatures are not checked",
    ("glance", "verify_glance_signatures"): "signatures of images are not checked",
    ("libvirt", "live_migration_tunnelled"): "live migrations are not tunnelled through libvirtd",
    ("libvirt", "live_migration_with_native_tls"): "QEMU's side of live migrations speaks no TLS",
    ("libvirt", "num_memory_encrypted_guests"): "guests' memory is not encrypted",
    ("libvirt", "swtpm_enabled"): "guests have no TPM",
    ("libvirt", "volume_enforce_multipath"): "volumes with a single path are not refused",
    ("vnc", "auth_schemes"): "the way from the proxy to the guest's screen is neither authenticated nor encrypted",
    ("vnc", "vencrypt_ca_certs"): "the way from the proxy to the guest's screen is not encrypted",
    ("vnc", "vencrypt_client_cert"): "the way from the proxy to the guest's screen is not encrypted",
    ("vnc", "vencrypt_client_key"): "the way from the proxy to the guest's screen is not encrypted",
    ("spice", "require_secure"): "the way to the guest's SPICE screen is not encrypted",
}


def reason(group: str, option: str, value: str | None) -> str | None:
    """Why no daemon may start with this; None for an option that is off, or that is not one of these."""
    why = _NOT_BUILT.get((group, option))
    return why if why is not None and (value or "").strip().lower() not in _OFF else None

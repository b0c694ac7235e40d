"""TLS of the APIs: the certificate of [wsgi], for those that [DEFAULT] enabled_ssl_apis names."""

import ssl

from oslo_config import cfg

from nova.conf import BadConfiguration


def context(conf: cfg.ConfigOpts, api: str) -> ssl.SSLContext | None:
    """What an API is served with; None for plain HTTP. Raises BadConfiguration for files that cannot be used."""
    if api not in conf.enabled_ssl_apis:
        return None
    options = conf.wsgi
    if not options.ssl_cert_file:
        raise BadConfiguration(f"[DEFAULT] enabled_ssl_apis names {api}, but [wsgi] ssl_cert_file is not set")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        tls.load_cert_chain(options.ssl_cert_file, options.ssl_key_file or options.ssl_cert_file, password=_no_password)
    except (OSError, ValueError) as error:
        files = ", ".join(filter(None, (options.ssl_cert_file, options.ssl_key_file)))
        raise BadConfiguration(f"[wsgi] ssl_cert_file, ssl_key_file: {files} cannot be used: {error}") from error
    if options.ssl_ca_file:
        tls.verify_mode = ssl.CERT_REQUIRED
        try:
            tls.load_verify_locations(options.ssl_ca_file)
        except OSError as error:
            raise BadConfiguration(f"[wsgi] ssl_ca_file: {options.ssl_ca_file} cannot be used: {error}") from error
    return tls


def _no_password() -> str:
    raise ValueError("the key is encrypted, and a daemon has nobody to ask for its password")

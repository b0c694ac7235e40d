"""[wsgi]: how the daemons speak HTTP. Upstream's names where upstream has the option."""

import ipaddress
from typing import Any, cast

from oslo_config import cfg

GROUP = cfg.OptGroup("wsgi", title="How the daemons speak HTTP")


def _upstreams(kind: type[cfg.Opt], name: str, **options: Any) -> cfg.Opt:
    """An option that older releases of upstream had in [DEFAULT]."""
    return kind(name, deprecated_group="DEFAULT", **options)


OPTIONS = [
    _upstreams(
        cfg.StrOpt,
        "secure_proxy_ssl_header",
        help="Header, as HTTP_X_FORWARDED_PROTO, in which a proxy that ends TLS says http or https; links are made with "
        "it. Set it only behind a proxy that always sets or removes the header.",
    ),
    _upstreams(cfg.StrOpt, "ssl_cert_file", help="Certificate, with its chain, of the APIs in enabled_ssl_apis; PEM."),
    _upstreams(cfg.StrOpt, "ssl_key_file", help="Private key of ssl_cert_file; unset when that file holds it too."),
    _upstreams(
        cfg.StrOpt,
        "ssl_ca_file",
        help="CA certificates, PEM. When set, clients need a certificate signed by one of them.",
    ),
    _upstreams(
        cfg.IntOpt, "tcp_keepidle", default=600, min=1, help="Seconds of silence after which TCP probes a connection."
    ),
    _upstreams(
        cfg.IntOpt, "max_header_line", default=16384, min=1024, help="Most bytes of a request's line or of one header."
    ),
    _upstreams(
        cfg.BoolOpt,
        "keep_alive",
        default=True,
        deprecated_name="wsgi_keep_alive",
        help="Whether a connection serves more than one request.",
    ),
    _upstreams(
        cfg.IntOpt,
        "client_socket_timeout",
        default=900,
        min=0,
        help="Seconds a client may take to receive an answer, and at most leave a connection unused; 0 is for ever.",
    ),
    cfg.IntOpt(
        "keep_alive_timeout", default=75, min=1, help="Seconds a connection stays open without a further request."
    ),
    cfg.IntOpt(
        "keep_alive_requests", default=1000, min=1, help="Requests after which a connection is closed, and opened anew."
    ),
    cfg.IntOpt(
        "client_header_timeout",
        default=30,
        min=1,
        help="Seconds in which a client must have sent a request's header, TLS handshake included.",
    ),
    cfg.IntOpt(
        "client_body_timeout", default=120, min=1, help="Seconds in which a client must have sent a request's body."
    ),
    cfg.IntOpt(
        "max_connections",
        default=2000,
        min=0,
        help="Most open connections of one worker process and port; what exceeds them is answered 503. 0 is no limit. "
        "Each needs a file descriptor (see LimitNOFILE of the systemd units).",
    ),
    cfg.IntOpt(
        "max_connections_per_source",
        default=200,
        min=0,
        help="Most open connections from one address to one worker process and port; what exceeds them is answered 503. "
        "0 is no limit.",
    ),
    cfg.ListOpt(
        "trusted_proxies",
        default=[],
        item_type=cast(Any, ipaddress.ip_network),
        help="Addresses or networks (192.0.2.7, 192.0.2.0/24) of load balancers, dashboards and metadata proxies, whose "
        "many users share one address: max_connections_per_source does not count for them.",
    ),
    cfg.BoolOpt(
        "access_log", default=True, help="Whether each request of an API or console page is a line of the log."
    ),
]

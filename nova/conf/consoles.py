"""[vnc], [spice], [serial_console], [console], [consoleauth]: guests' screens and who may see them."""

from types import SimpleNamespace

from oslo_config import cfg

_SERVER_LISTEN = "Address guests' {} servers listen on."
_PROXYCLIENT = "Address under which the proxy reaches this host's guests."

VNC = SimpleNamespace(
    GROUP=cfg.OptGroup("vnc", title="VNC consoles"),
    OPTIONS=[
        cfg.BoolOpt("enabled", default=True, deprecated_name="vnc_enabled", help="Whether guests have a VNC screen."),
        cfg.HostAddressOpt(
            "server_listen", default="127.0.0.1", deprecated_name="vncserver_listen", help=_SERVER_LISTEN.format("VNC")
        ),
        cfg.HostAddressOpt(
            "server_proxyclient_address",
            default="127.0.0.1",
            deprecated_name="vncserver_proxyclient_address",
            help=_PROXYCLIENT,
        ),
        cfg.URIOpt(
            "novncproxy_base_url", default="http://127.0.0.1:6080/vnc_auto.html", help="Page a user's browser opens."
        ),
        cfg.StrOpt("novncproxy_host", default="0.0.0.0", help="Address nova-novncproxy listens on."),
        cfg.PortOpt("novncproxy_port", default=6080, help="Port of nova-novncproxy."),
        cfg.URIOpt(
            "xvpvncproxy_base_url",
            help="Address that native VNC clients open (http://PROXY:6081/console); unset, consoles of the type xvpvnc are "
            "refused.",
        ),
        cfg.StrOpt("xvpvncproxy_host", default="0.0.0.0", help="Address nova-xvpvncproxy listens on."),
        cfg.PortOpt("xvpvncproxy_port", default=6081, help="Port of nova-xvpvncproxy."),
    ],
)

SPICE = SimpleNamespace(
    GROUP=cfg.OptGroup("spice", title="SPICE consoles"),
    OPTIONS=[
        cfg.BoolOpt("enabled", default=False, help="Whether guests have a SPICE screen."),
        cfg.BoolOpt("agent_enabled", default=True, help="Whether guests get the SPICE agent's channel."),
        cfg.StrOpt("server_listen", default="127.0.0.1", help=_SERVER_LISTEN.format("SPICE")),
        cfg.StrOpt("server_proxyclient_address", default="127.0.0.1", help=_PROXYCLIENT),
        cfg.URIOpt(
            "html5proxy_base_url", default="http://127.0.0.1:6082/spice_auto.html", help="Page a user's browser opens."
        ),
        cfg.URIOpt(
            "spice_direct_proxy_base_url",
            default="http://127.0.0.1:13002/nova",
            help="Address of a proxy, not of this project, that leads native SPICE clients to their screens.",
        ),
        cfg.HostAddressOpt("html5proxy_host", default="0.0.0.0", help="Address nova-spicehtml5proxy listens on."),
        cfg.PortOpt("html5proxy_port", default=6082, help="Port of nova-spicehtml5proxy."),
    ],
)

SERIAL = SimpleNamespace(
    GROUP=cfg.OptGroup("serial_console", title="Serial consoles"),
    OPTIONS=[
        cfg.BoolOpt("enabled", default=False, help="Whether guests' serial ports are offered as consoles."),
        cfg.URIOpt("base_url", default="ws://127.0.0.1:6083/", help="Address a user's client opens."),
        cfg.StrOpt("serialproxy_host", default="0.0.0.0", help="Address nova-serialproxy listens on."),
        cfg.PortOpt("serialproxy_port", default=6083, help="Port of nova-serialproxy."),
    ],
)

CONSOLE = SimpleNamespace(
    GROUP=cfg.OptGroup("console", title="Console proxies"),
    OPTIONS=[
        cfg.ListOpt("allowed_origins", default=[], help="Further hosts from whose pages a console may be opened."),
        cfg.StrOpt("ssl_ciphers", help="TLS ciphers of the console proxies, in OpenSSL's words."),
        cfg.StrOpt(
            "ssl_minimum_version",
            default="default",
            choices=[
                ("default", "what the system's OpenSSL takes"),
                ("tlsv1_1", "TLS 1.1"),
                ("tlsv1_2", "TLS 1.2"),
                ("tlsv1_3", "TLS 1.3"),
            ],
            help="Oldest TLS of the console proxies.",
        ),
        cfg.StrOpt("novnc_web", default="/usr/share/novnc", help="Directory of noVNC's files."),
        cfg.StrOpt("spice_web", default="/usr/share/spice-html5", help="Directory of spice-html5's files."),
    ],
)

CONSOLEAUTH = SimpleNamespace(
    GROUP=cfg.OptGroup("consoleauth", title="Console tokens"),
    OPTIONS=[
        cfg.IntOpt("token_ttl", default=600, min=0, help="Seconds a console token is good for."),
        cfg.BoolOpt(
            "enforce_session_timeout", default=False, help="Whether an open console closes when its token expires."
        ),
    ],
)

# The proxies' TLS stands in [DEFAULT], as upstream has it.
TLS = SimpleNamespace(
    OPTIONS=[
        cfg.StrOpt("cert", default="self.pem", help="Certificate of the console proxies; no TLS without the file."),
        cfg.StrOpt("key", help="Key of that certificate, when it is not in the same file."),
        cfg.BoolOpt("ssl_only", default=False, help="Whether the console proxies refuse connections without TLS."),
    ],
)

MODULES = (VNC, SPICE, SERIAL, CONSOLE, CONSOLEAUTH, TLS)

"""[crypto]: nova-cert's certificates. Upstream's names; older releases had them in [DEFAULT]."""

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("crypto", title="nova-cert")


def _upstreams(kind: type[cfg.Opt], name: str, **options: Any) -> cfg.Opt:
    return kind(name, deprecated_group="DEFAULT", **options)


OPTIONS = [
    _upstreams(cfg.StrOpt, "ca_path", default="$state_path/CA", help="Directory of the certificate authorities."),
    _upstreams(
        cfg.StrOpt, "ca_file", default="cacert.pem", help="File of an authority's certificate, below its own directory."
    ),
    _upstreams(cfg.StrOpt, "key_file", default="private/cakey.pem", help="File of its key, below its own directory."),
    _upstreams(
        cfg.BoolOpt,
        "use_project_ca",
        default=False,
        help="Whether each project has an authority of its own, signed by the root; bundles are encrypted for it then.",
    ),
    _upstreams(
        cfg.StrOpt,
        "user_cert_subject",
        default="/C=US/ST=California/O=OpenStack/OU=NovaDev/CN=%.16s-%.16s-%s",
        help="Subject of a user's certificate; takes project, user and time.",
    ),
    _upstreams(
        cfg.StrOpt,
        "project_cert_subject",
        default="/C=US/ST=California/O=OpenStack/OU=NovaDev/CN=project-ca-%.16s-%s",
        help="Subject of a project's authority; takes project and time.",
    ),
    cfg.IntOpt("cert_lifetime_days", default=365, min=1, help="Days a user's certificate is good for."),
]

"""[keystone]: the Identity service, asked whether a project exists."""

from oslo_config import cfg

GROUP = cfg.OptGroup("keystone", title="Identity service")

OPTIONS: list[cfg.Opt] = []

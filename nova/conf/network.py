"""[DEFAULT] of nova-network: networks for a cloud without Neutron."""

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = []

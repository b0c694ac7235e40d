"""The Amazon EC2 API: one module for each kind of thing, put together into one application."""

import requests
from oslo_config import cfg

from nova.api import compute
from nova.api.ec2 import (
    addresses,
    image_imports,
    images,
    instance_attributes,
    instance_types,
    instances,
    keypairs,
    regions,
    security_groups,
    snapshots,
    tags,
    volumes,
    vpcs,
)
from nova.api.ec2.app import Application, fault
from nova.api.ec2.declaration import collect
from nova.api.ec2.identity import Identity
from nova.clients import adapters
from nova.http.front import Front
from nova.rpc.conductor import ConductorCalls

# In the order in which doc/ec2.md lists them.
MODULES = (
    regions,
    instances,
    instance_attributes,
    instance_types,
    images,
    image_imports,
    volumes,
    snapshots,
    security_groups,
    addresses,
    vpcs,
    keypairs,
    tags,
)
ACTIONS = collect(*MODULES)


def application(conf: cfg.ConfigOpts, conductor: ConductorCalls, transport: requests.Session | None = None) -> Front:
    """The whole service, signatures included, as a WSGI application."""
    identity = Identity(adapters.service_adapter(conf, "keystone", transport), conf.keystone_ec2_url)
    services = compute.make_services(conf, conductor, transport)
    return Front(Application(ACTIONS, services, identity), conf, fault)

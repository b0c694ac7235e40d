"""Tells Keystone who and where everything is: projects, users, roles, services, endpoints.

Usage: register.py SECRET NAME=TYPE=URL...   What exists is left as it is.
"""

import sys

import openstack

SERVICE_USERS = ("nova", "placement", "glance", "neutron", "cinder", "heat")


def main() -> None:
    secret, *services = sys.argv[1:]
    identity = openstack.connect().identity
    roles = {role.name: role for role in identity.roles()}
    for name in ("admin", "manager", "member", "reader", "service"):
        if name not in roles:
            roles[name] = identity.create_role(name=name)
    add_service_users(identity, roles, secret)
    add_demo(identity, roles, secret)
    add_services(identity, services)
    if any(entry.startswith("heat=") for entry in services):
        add_stack_users(identity, secret)


def add_service_users(identity, roles, secret) -> None:
    project = find_or_create_project(identity, "service")
    for name in SERVICE_USERS:
        user = find_or_create_user(identity, name, secret)
        for role in ("admin", "service"):
            identity.assign_project_role_to_user(project, user, roles[role])


def add_demo(identity, roles, secret) -> None:
    """A user without special rights, in a project of its own."""
    project = find_or_create_project(identity, "demo")
    user = find_or_create_user(identity, "demo", secret)
    identity.assign_project_role_to_user(project, user, roles["member"])
    # The administrator looks after the demo project too.
    identity.assign_project_role_to_user(project, identity.find_user("admin"), roles["admin"])


def add_stack_users(identity, secret) -> None:
    """Where Heat makes the users with whose names a stack's servers speak to it, as its install guide says."""
    for name in ("heat_stack_owner", "heat_stack_user"):
        if not identity.find_role(name):
            identity.create_role(name=name)
    domain = identity.find_domain("heat") or identity.create_domain(name="heat")
    admin = identity.find_user("heat_domain_admin", domain_id=domain.id) or identity.create_user(
        name="heat_domain_admin", password=secret, domain_id=domain.id
    )
    identity.assign_domain_role_to_user(domain, admin, identity.find_role("admin"))


def add_services(identity, services) -> None:
    for entry in services:
        name, kind, url = entry.split("=", 2)
        service = next(iter(identity.services(type=kind)), None) or identity.create_service(name=name, type=kind)
        known = {(endpoint.interface, endpoint.url) for endpoint in identity.endpoints(service_id=service.id)}
        for interface in ("public", "internal", "admin"):
            if (interface, url) not in known:
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=url, region_id="RegionOne", is_enabled=True
                )


def find_or_create_project(identity, name):
    return identity.find_project(name) or identity.create_project(name=name, domain_id="default")


def find_or_create_user(identity, name, password):
    return identity.find_user(name) or identity.create_user(name=name, password=password, domain_id="default")


if __name__ == "__main__":
    main()

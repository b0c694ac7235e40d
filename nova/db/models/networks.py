"""What nova-network keeps. Each noun is one document; columns are what is looked up or must be unique.

Two writers can never give one address, MAC or bridge name twice: the constraints here say so.
"""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nova.db.models.base import TABLE, Base, Document, Name, Uuid, Word


class Network(Base):
    __tablename__ = "networks"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    project_id: Mapped[Name] = mapped_column(index=True)
    name: Mapped[Name]
    shared: Mapped[bool]
    is_external: Mapped[bool]
    bridge: Mapped[Word] = mapped_column(unique=True)
    # Holds network_type and segmentation_id, or the physical network: no two networks on one wire.
    segment: Mapped[Name | None] = mapped_column(unique=True)
    revision_number: Mapped[int]
    document: Mapped[Document]


class Subnet(Base):
    __tablename__ = "subnets"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    project_id: Mapped[Name] = mapped_column(index=True)
    name: Mapped[Name]
    network_id: Mapped[Uuid] = mapped_column(ForeignKey("networks.id"), index=True)
    revision_number: Mapped[int]
    document: Mapped[Document]


class Port(Base):
    __tablename__ = "ports"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    project_id: Mapped[Name] = mapped_column(index=True)
    name: Mapped[Name]
    network_id: Mapped[Uuid] = mapped_column(ForeignKey("networks.id"))
    mac_address: Mapped[Word]
    device_id: Mapped[Name] = mapped_column(index=True)
    device_owner: Mapped[Name]
    host: Mapped[Name] = mapped_column(index=True)
    revision_number: Mapped[int]
    document: Mapped[Document]

    __table_args__ = (UniqueConstraint("network_id", "mac_address"), TABLE)


class PortAddress(Base):
    """One address of one port; an address of a subnet belongs to one port at most."""

    __tablename__ = "port_addresses"

    subnet_id: Mapped[Uuid] = mapped_column(ForeignKey("subnets.id"), primary_key=True)
    address: Mapped[Word] = mapped_column(primary_key=True, index=True)
    port_id: Mapped[Uuid] = mapped_column(ForeignKey("ports.id", ondelete="CASCADE"), index=True)


class FreeAddresses(Base):
    """A range of a subnet's pools that no port has an address of; low and high are hexadecimal, both ends belong to it."""

    __tablename__ = "free_addresses"

    subnet_id: Mapped[Uuid] = mapped_column(ForeignKey("subnets.id", ondelete="CASCADE"), primary_key=True)
    low: Mapped[Word] = mapped_column(primary_key=True)
    high: Mapped[Word]


class DhcpLease(Base):
    """What a DHCP server has told of an address of its network. It outlives the port: the server still knows it."""

    __tablename__ = "dhcp_leases"

    network_id: Mapped[Uuid] = mapped_column(ForeignKey("networks.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[Word] = mapped_column(primary_key=True)
    document: Mapped[Document]


class SecurityGroup(Base):
    __tablename__ = "security_groups"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    project_id: Mapped[Name] = mapped_column(index=True)
    name: Mapped[Name]
    # The project whose default group this is: one per project.
    default_of: Mapped[Name | None] = mapped_column(unique=True)
    revision_number: Mapped[int]
    document: Mapped[Document]


class SecurityGroupRule(Base):
    __tablename__ = "security_group_rules"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    project_id: Mapped[Name] = mapped_column(index=True)
    name: Mapped[Name]
    security_group_id: Mapped[Uuid] = mapped_column(ForeignKey("security_groups.id", ondelete="CASCADE"))
    remote_group_id: Mapped[Uuid | None] = mapped_column(
        ForeignKey("security_groups.id", ondelete="CASCADE"), index=True
    )
    # What the rule lets through, as one text: a group holds no rule twice.
    matches: Mapped[Name]
    revision_number: Mapped[int]
    document: Mapped[Document]

    __table_args__ = (UniqueConstraint("security_group_id", "matches"), TABLE)


class PortSecurityGroup(Base):
    """A group that protects a port cannot be deleted."""

    __tablename__ = "port_security_groups"

    port_id: Mapped[Uuid] = mapped_column(ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True)
    security_group_id: Mapped[Uuid] = mapped_column(ForeignKey("security_groups.id"), primary_key=True, index=True)


class Router(Base):
    __tablename__ = "routers"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    project_id: Mapped[Name] = mapped_column(index=True)
    name: Mapped[Name]
    external_network_id: Mapped[Uuid | None] = mapped_column(ForeignKey("networks.id"), index=True)
    revision_number: Mapped[int]
    document: Mapped[Document]


class FloatingIp(Base):
    __tablename__ = "floating_ips"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    project_id: Mapped[Name] = mapped_column(index=True)
    name: Mapped[Name]
    floating_network_id: Mapped[Uuid] = mapped_column(ForeignKey("networks.id"), index=True)
    floating_ip_address: Mapped[Word] = mapped_column(index=True)
    floating_port_id: Mapped[Uuid] = mapped_column(unique=True)
    port_id: Mapped[Uuid | None]
    fixed_ip_address: Mapped[Word | None]
    revision_number: Mapped[int]
    document: Mapped[Document]

    # One floating address per fixed one: traffic out has one way to look.
    __table_args__ = (UniqueConstraint("port_id", "fixed_ip_address"), TABLE)


class NetworkQuota(Base):
    """A project's own limit of one noun."""

    __tablename__ = "network_quotas"

    project_id: Mapped[Name] = mapped_column(primary_key=True)
    noun: Mapped[Word] = mapped_column(primary_key=True)
    hard_limit: Mapped[int]

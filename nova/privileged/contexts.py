"""The privileged processes: what each may do to this host, capability by capability."""

from oslo_privsep import capabilities, priv_context

SECTION = "nova_network_privileged"
# Longer than any tool of one operation may take.
_ENDS_WITHIN_S = 150.0

NETWORK_CAPABILITIES = (
    # Devices, addresses, routes, rules, kernel parameters of networks; with sockets below 1024 and raw ones for dnsmasq.
    capabilities.CAP_NET_ADMIN,
    capabilities.CAP_NET_BIND_SERVICE,
    capabilities.CAP_NET_RAW,
    # To make namespaces, which are mounts, and to enter them.
    capabilities.CAP_SYS_ADMIN,
    # dnsmasq is another user's, from its first instruction, and has files of its own in the daemon's directory.
    capabilities.CAP_SETUID,
    capabilities.CAP_SETGID,
    capabilities.CAP_SETPCAP,
    capabilities.CAP_CHOWN,
    capabilities.CAP_DAC_OVERRIDE,
    capabilities.CAP_KILL,
)

NETWORK = priv_context.PrivContext(
    "nova.privileged",
    cfg_section=SECTION,
    pypath="nova.privileged.contexts.NETWORK",
    capabilities=[int(capability) for capability in NETWORK_CAPABILITIES],
    timeout=_ENDS_WITHIN_S,
)
# Until separation.start(): a daemon that stays root does all in its own process.
NETWORK.set_client_mode(False)

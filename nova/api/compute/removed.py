"""Operations that answer 410 whatever the version, because what they managed is no more.

Source: Compute API reference, the sections marked obsolete.
"""

from nova.http.declaration import gone

REMOVED = (
    gone("POST", "/os-networks"),
    gone("POST", "/os-networks/add"),
    gone("DELETE", "/os-networks/{network_id}"),
    *(
        gone("POST", "/os-networks/{network_id}/action", name)
        for name in ("associate_host", "disassociate", "disassociate_host", "disassociate_project")
    ),
    gone("POST", "/os-tenant-networks"),
    gone("DELETE", "/os-tenant-networks/{network_id}"),
    gone("POST", "/os-certificates"),
    *(gone("GET", f"/os-certificates/{name}") for name in ("root", "{certificate_id}")),
    gone("GET", "/os-cloudpipe"),
    gone("POST", "/os-cloudpipe"),
    *(gone("PUT", f"/os-cloudpipe/{name}") for name in ("configure-project", "{name}")),
    gone("GET", "/os-fping"),
    gone("GET", "/os-fping/{instance_id}"),
    gone("GET", "/servers/{server_id}/os-virtual-interfaces"),
    gone("GET", "/os-fixed-ips/{fixed_ip}"),
    *(gone("POST", "/os-fixed-ips/{fixed_ip}/action", name) for name in ("reserve", "unreserve")),
    gone("GET", "/os-floating-ips-bulk"),
    gone("POST", "/os-floating-ips-bulk"),
    *(gone("PUT", f"/os-floating-ips-bulk/{name}") for name in ("delete", "{name}")),
    gone("GET", "/os-floating-ips-bulk/{name}"),
    gone("GET", "/os-floating-ip-dns"),
    gone("PUT", "/os-floating-ip-dns/{domain}"),
    gone("DELETE", "/os-floating-ip-dns/{domain}"),
    *(gone(method, "/os-floating-ip-dns/{domain}/entries/{name}") for method in ("GET", "PUT", "DELETE")),
    gone("GET", "/os-cells"),
    gone("POST", "/os-cells"),
    *(gone("GET", f"/os-cells/{name}") for name in ("capacities", "detail", "info")),
    gone("POST", "/os-cells/sync_instances"),
    *(gone(method, "/os-cells/{cell_id}") for method in ("GET", "PUT", "DELETE")),
    gone("GET", "/os-cells/{cell_id}/capacities"),
    gone("GET", "/servers/{server_id}/consoles"),
    gone("POST", "/servers/{server_id}/consoles"),
    gone("GET", "/servers/{server_id}/consoles/{console_id}"),
    gone("DELETE", "/servers/{server_id}/consoles/{console_id}"),
    gone("GET", "/os-security-group-default-rules"),
    gone("GET", "/os-security-group-default-rules/{rule_id}"),
    gone("POST", "/os-security-group-default-rules"),
    gone("DELETE", "/os-security-group-default-rules/{rule_id}"),
    gone("GET", "/os-agents"),
    gone("POST", "/os-agents"),
    gone("PUT", "/os-agents/{agent_id}"),
    gone("DELETE", "/os-agents/{agent_id}"),
)

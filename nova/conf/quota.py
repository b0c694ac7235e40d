"""[quota]: limits of a project that has none of its own; -1 is unlimited."""

from oslo_config import cfg

GROUP = cfg.OptGroup("quota", title="Quota")

OPTIONS = [
    cfg.IntOpt("instances", default=10, min=-1, help="Servers."),
    cfg.IntOpt("cores", default=20, min=-1, help="VCPUs of all servers."),
    cfg.IntOpt("ram", default=51200, min=-1, help="MiB of memory of all servers."),
    cfg.IntOpt("metadata_items", default=128, min=-1, help="Metadata items of one server."),
    cfg.IntOpt("injected_files", default=5, min=-1, help="Personality files of one server."),
    cfg.IntOpt("injected_file_content_bytes", default=10240, min=-1, help="Bytes of one such file."),
    cfg.IntOpt("injected_file_path_length", default=255, min=-1, help="Length of such a file's path."),
    cfg.IntOpt("key_pairs", default=100, min=-1, help="Key pairs of one user."),
    cfg.IntOpt("server_groups", default=10, min=-1, help="Server groups."),
    cfg.IntOpt("server_group_members", default=10, min=-1, help="Servers of one group and user."),
]

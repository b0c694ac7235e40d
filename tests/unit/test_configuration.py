"""nova.conf: what the installation guide's file means, and what is said about one that is wrong."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nova import conf as configuration
from nova.conf import files, refused, review, upstream

ROOT = Path(__file__).parent.parent.parent
GUIDE = """
[DEFAULT]
my_ip = 10.0.0.11
transport_url = rabbit://openstack:RABBIT_PASS@controller
use_neutron = true
firewall_driver = nova.virt.firewall.NoopFirewallDriver
enabled_apis = osapi_compute,metadata
compute_driver = libvirt.LibvirtDriver
[api_database]
connection = mysql+pymysql://nova:NOVA_DBPASS@controller/nova_api
[database]
connection = mysql+pymysql://nova:NOVA_DBPASS@controller/nova
[api]
auth_strategy = keystone
[keystone_authtoken]
auth_url = http://controller:5000/v3
auth_type = password
project_domain_name = default
user_domain_name = default
project_name = service
username = nova
password = NOVA_PASS
[vnc]
enabled = True
server_listen = 0.0.0.0
server_proxyclient_address = $my_ip
novncproxy_base_url = http://controller:6080/vnc_auto.html
[glance]
api_servers = http://controller:9292
[oslo_concurrency]
lock_path = /var/lib/nova/tmp
[placement]
os_region_name = RegionOne
project_domain_name = Default
project_name = service
auth_type = password
user_domain_name = Default
auth_url = http://controller:5000/v3
username = placement
password = PLACEMENT_PASS
[neutron]
url = http://controller:9696
auth_type = password
auth_url = http://controller:5000
project_domain_name = default
user_domain_name = default
region_name = RegionOne
project_name = service
username = neutron
password = NEUTRON_PASS
service_metadata_proxy = true
metadata_proxy_shared_secret = METADATA_SECRET
[libvirt]
virt_type = qemu
[scheduler]
discover_hosts_in_cells_interval = 300
"""

# What a file of a release that had these APIs says of them.
MITAKA = """
[DEFAULT]
enabled_apis = ec2,osapi_compute,metadata
enabled_ssl_apis =
ec2_listen = 0.0.0.0
ec2_listen_port = 8773
ec2_workers = 4
ec2_host = $my_ip
ec2_dmz_host = $my_ip
ec2_port = 8773
ec2_scheme = http
ec2_path = /
region_list =
lockout_attempts = 5
lockout_minutes = 15
lockout_window = 15
keystone_ec2_url = http://controller:5000/v2.0/ec2tokens
keystone_ec2_insecure = false
ec2_timestamp_expiry = 300
buckets_path = $state_path/buckets
s3_listen = 0.0.0.0
s3_listen_port = 3333
s3_host = $my_ip
s3_port = 3333
image_decryption_dir = /tmp
cert_manager = nova.cert.manager.CertManager
cert_topic = cert
ca_path = $state_path/CA
use_project_ca = true
[vnc]
xvpvncproxy_host = 0.0.0.0
xvpvncproxy_port = 6081
xvpvncproxy_base_url = http://controller:6081/console
"""


def load(tmp_path, text):
    path = tmp_path / "nova.conf"
    path.write_text(text)
    return configuration.load([], [str(path)])


def test_a_file_written_after_the_installation_guide_is_understood(tmp_path):
    conf = load(tmp_path, GUIDE)

    assert conf.my_ip == "10.0.0.11"
    assert conf.vnc.server_proxyclient_address == "10.0.0.11"
    assert conf.database.connection == "mysql+pymysql://nova:NOVA_DBPASS@controller/nova"
    assert conf.placement.username == "placement"
    assert conf.neutron.metadata_proxy_shared_secret == "METADATA_SECRET"
    assert conf.glance.api_servers == ["http://controller:9292"]
    assert conf.libvirt.virt_type == "qemu"


def test_a_file_of_a_release_with_ec2_objectstore_and_cert_is_understood(tmp_path):
    conf = load(tmp_path, MITAKA)

    assert conf.enabled_apis == ["ec2", "osapi_compute", "metadata"]
    assert conf.ec2_host == conf.my_ip
    assert conf.crypto.use_project_ca is True
    assert conf.buckets_path == f"{conf.state_path}/buckets"


def test_an_unknown_group_is_an_error_that_names_file_and_group(tmp_path):
    with pytest.raises(configuration.BadConfiguration) as caught:
        load(tmp_path, "[databaze]\nconnection = sqlite://\n")

    assert f"{tmp_path}/nova.conf" in str(caught.value)
    assert "[databaze]" in str(caught.value)


@pytest.mark.parametrize(
    "group, option, value",
    [
        ("DEFAULT", "osapi_compute_listen_port", "eightthousand"),
        ("api", "auth_strategy", "trust"),
        ("libvirt", "virt_type", "zx81"),
        ("scheduler", "max_attempts", "0"),
        ("conductor", "workers", "-1"),
        ("vnc", "enabled", "perhaps"),
        ("notifications", "notification_format", "xml"),
        ("notifications", "notify_on_state_change", "power_state"),
    ],
)
def test_a_bad_value_is_an_error_that_names_file_group_and_option(tmp_path, group, option, value):
    with pytest.raises(configuration.BadConfiguration) as caught:
        load(tmp_path, f"[{group}]\n{option} = {value}\n")

    assert f"{tmp_path}/nova.conf" in str(caught.value)
    assert option in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(configuration.BadConfiguration) as caught:
        configuration.load(["--config-file", str(tmp_path / "missing.conf")])

    assert "missing.conf" in str(caught.value)


def test_a_daemon_refuses_a_bad_file_with_one_line_and_status_2(tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text("[databaze]\n")

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from nova.cmd.scheduler import main; raise SystemExit(main())",
         "--config-file", str(path)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "NOVA_CONCURRENCY_BACKEND": "threading"},
    )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("nova-scheduler: ")
    assert "Traceback" not in done.stderr


def contract(*projects):
    """Options of upstream's reference, by group and name."""
    path = Path(os.environ.get("CONTRACT_DIR", ROOT.parent / "shared" / "contract")) / "config_options.json"
    if not path.exists():
        pytest.fail(f"there is no contract at {path}: CONTRACT_DIR names its directory")
    found = json.loads(path.read_text())
    return {(one["group"], one["name"].replace("-", "_")): one for project in projects for one in found[project]}


def test_every_option_of_upstream_is_honoured_or_translated_or_refused_or_needless():
    own = {(group, name) for group, options in configuration.list_options() for o in options for name in names(o)}
    verdicts = {
        option: (option in own) + (option in refused.REFUSALS) + (option in upstream.NEEDLESS)
        for option in contract("nova", "placement")
    }

    assert [option for option, count in verdicts.items() if count == 0 and not upstream.needless(*option)] == []
    assert [option for option, count in verdicts.items() if count > 1] == []


def names(option):
    return [option.dest, *(before.name.replace("-", "_") for before in option.deprecated_opts if before.name)]


def test_every_option_of_this_project_is_read_somewhere():
    code = {path: path.read_text() for path in (ROOT / "nova").rglob("*.py")}
    words = {
        word
        for path, text in code.items()
        for word in re.findall(r"\w+" if path.parent != ROOT / "nova" / "conf" else r"(?<=\.)\w+", text)
    }
    unread = [
        (group, option.dest) for group, options in own_options() for option in options if option.dest not in words
    ]

    assert [(group, name) for group, name in unread if not is_read_by_pattern(group, name)] == []


def own_options():
    for module in configuration.MODULES:
        group = getattr(module, "GROUP", None)
        yield group.name if group else "DEFAULT", module.OPTIONS


def is_read_by_pattern(group, name):
    return group == "cors" or (group == "DEFAULT" and name.startswith("quota_"))


def test_what_nobody_would_give_is_refused_and_upstreams_default_is_not():
    known = contract("nova", "placement")
    for (group, option), refusal in refused.REFUSALS.items():
        assert refused.reason(group, option, "something" if refusal.off else "false") == refusal.why
        default = known.get((group, option), {}).get("default")
        shown = ",".join(default) if isinstance(default, list) else "" if default is None else str(default)
        assert refused.reason(group, option, shown) is None, (group, option)


def test_a_refusal_names_the_file_the_option_and_why(tmp_path):
    with pytest.raises(configuration.BadConfiguration) as caught:
        load(tmp_path, "[compute]\ncpu_dedicated_set = 1-3\n")

    assert f"{tmp_path}/nova.conf: [compute] cpu_dedicated_set = 1-3 is not supported" in str(caught.value)
    assert "set apart" in str(caught.value)
    load(tmp_path, "[compute]\ncpu_dedicated_set =\n")


def test_options_that_mean_the_same_have_upstreams_defaults():
    known = contract("nova")
    differing = []
    for group, options in configuration.list_options():
        for option in options:
            theirs = known.get((group, option.name))
            if theirs is None or theirs.get("default_is_sample") or (group, option.dest) in DIFFERENT_ON_PURPOSE:
                continue
            if option.default != theirs.get("default"):
                differing.append((group, option.dest, option.default, theirs.get("default")))

    assert differing == []


# What an option means here makes another default the right one; the reason stands in its help.
DIFFERENT_ON_PURPOSE = {
    *((group, "timeout") for group in configuration.CLIENT_GROUPS),
    ("DEFAULT", "state_path"),
    ("DEFAULT", "host"),
    ("DEFAULT", "my_ip"),
    ("DEFAULT", "default_thread_pool_size"),
}


def test_the_sample_files_are_those_the_code_gives(tmp_path):
    subprocess.run([sys.executable, "-W", "ignore", "tools/make_samples.py", str(tmp_path)], check=True, cwd=ROOT)

    for name in ("etc/nova/nova.conf.sample", "etc/nova/policy.yaml.sample", "doc/options.md"):
        made = tmp_path / Path(name).name
        assert made.read_text() == (ROOT / name).read_text(), f"{name} is out of date: run tools/make_samples.py"


def test_no_option_of_upstream_nor_of_the_guide_is_called_unknown(tmp_path):
    of_groups = {}
    for group, name in contract("nova", "placement"):
        if (group, name) not in refused.REFUSALS:
            of_groups.setdefault(group, []).append(name)
    path = tmp_path / "nova.conf"
    path.write_text("".join(f"[{group}]\n" + "".join(f"{n} = \n" for n in names) for group, names in of_groups.items()))
    exist = configuration.options_of_files(list(files.settings([str(path)])))

    assert list(review.unknown(exist, files.settings([str(path)]))) == []


@pytest.mark.parametrize(
    "group, option, value, right",
    [
        ("scheduler", "max_attempts", "0", "an integer of at least 1"),
        ("api", "auth_strategy", "trust", "one of keystone, noauth2"),
        ("DEFAULT", "enabled_apis", "osapi,metadata", "each part must be one of osapi_compute, metadata, ec2"),
        ("DEFAULT", "host", "two words", "a host name or an IP address"),
        ("vnc", "enabled", "perhaps", "true or false"),
    ],
)
def test_a_bad_value_is_told_what_is_right(tmp_path, group, option, value, right):
    with pytest.raises(configuration.BadConfiguration) as caught:
        load(tmp_path, f"[{group}]\n{option} = {value}\n")

    assert f"{tmp_path}/nova.conf: [{group}] {option} = {value}: it must be " in str(caught.value)
    assert right in str(caught.value)


def test_a_value_that_names_another_option_is_checked_too(tmp_path):
    with pytest.raises(configuration.BadConfiguration, match=r"\[api\] max_limit"):
        load(tmp_path, "[DEFAULT]\nstate_path = many\n[api]\nmax_limit = $state_path\n")


@pytest.mark.parametrize("text", ["[libvirt]\nswtpm_enabled = true\n", "[databaze]\n", "[vnc]\nenabled = perhaps\n"])
def test_a_file_of_a_directory_is_looked_at_like_the_first(tmp_path, text):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/10.conf").write_text(text)
    (tmp_path / "nova.conf").write_text("[DEFAULT]\n")
    words = ["--config-file", str(tmp_path / "nova.conf"), "--config-dir", str(tmp_path / "parts")]

    with pytest.raises(configuration.BadConfiguration, match=re.escape(f"{tmp_path}/parts/10.conf")):
        configuration.load(words)


def test_a_wrong_group_is_told_the_nearest(tmp_path):
    with pytest.raises(configuration.BadConfiguration, match=r"is it \[database\]\?"):
        load(tmp_path, "[databaze]\n")


def test_a_plugin_that_does_not_exist_is_told_which_do(tmp_path):
    with pytest.raises(configuration.BadConfiguration, match=r"\[placement\] auth_type = pasword: .*, password,"):
        load(tmp_path, "[placement]\nauth_type = pasword\n")
